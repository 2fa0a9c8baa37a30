"""Build a revision of lstmfast in a Python environment of its own: revision.py FOLDER REV. Prints its Python.

FOLDER keeps one environment for each commit, so a revision is built once; what is to be built again is
deleted by hand. The build sees the commit's files alone, this compiler, and the NumPy that is here.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def commit_of(revision: str) -> str:
    """Return the whole name of a commit; exits where there is none."""
    found = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        sys.exit(f"expected a commit, a tag or a branch of this repository, got {revision!r}")
    return found.stdout.strip()


def build(folder: Path, commit: str) -> Path:
    """Make the environment, or find it; return its Python."""
    environment = folder / commit
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if (environment / "built").exists():
        return python
    shutil.rmtree(environment, ignore_errors=True)
    venv.create(environment, with_pip=True)
    sources = environment / "sources"
    archive = subprocess.check_output(["git", "archive", "--format=tar", commit], cwd=ROOT)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(sources, filter="data")
    install = [str(python), "-m", "pip", "install", "--quiet", f"numpy=={version('numpy')}"]
    # What pip says is for people: standard output is for the Python's name.
    subprocess.run([*install, str(sources)], check=True, stdout=sys.stderr)
    shutil.rmtree(sources)
    (environment / "built").touch()
    return python


def main(folder: str, revision: str) -> None:
    """Build it, and say where."""
    print(build(Path(folder).resolve(), commit_of(revision)))


if __name__ == "__main__":
    main(*sys.argv[1:])
