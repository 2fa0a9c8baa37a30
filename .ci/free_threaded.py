"""Make a Python without a GIL, under ThreadSanitizer, with lstmfast: python3 free_threaded.py PACKAGE FOLDER.

Debian has no such Python, but the sources of one: PACKAGE is theirs, python3.13 say. FOLDER gets them, and
the Python in FOLDER/python. What is there already is not made again, but lstmfast is. Needs Debian's packages
clang, libclang-rt-dev, dpkg-dev, make, libffi-dev, libssl-dev and zlib1g-dev.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("numpy", "pytest", "pytest-xdist", "hypothesis", "scikit-build-core", "pybind11", "cmake", "ninja")
COMPILERS = {"CC": "clang", "CXX": "clang++"}


def run(*command: str, folder: Path = ROOT) -> None:
    """Run a command. Reports of races are for the tests alone, and not for those who install packages."""
    environment = {**os.environ, **COMPILERS, "TSAN_OPTIONS": "report_bugs=0", "CFLAGS": "-O2 -g1"}
    subprocess.run(command, cwd=folder, env=environment, check=True)


def sources(package: str, folder: Path) -> Path:
    """Find the sources as they came to Debian, without its patches: those are for where it installs."""
    if not list(folder.glob("Python-*")):
        listed = Path("/etc/apt/sources.list").read_text()
        wanted = "".join(f"deb-src {line[4:]}\n" for line in listed.splitlines() if line.startswith("deb "))
        Path("/etc/apt/sources.list.d/sources.list").write_text(wanted)
        run("apt-get", "update", "-qq")
        run("apt-get", "source", "-qq", "--download-only", package, folder=folder)
        # Beside it lies its signature.
        (archive,) = (file for file in folder.glob("*.orig.tar.*z*") if file.suffix != ".asc")
        run("tar", "xf", str(archive), folder=folder)
    (found,) = folder.glob("Python-*")
    return found


def python(package: str, folder: Path) -> str:
    """Build Python, unless it is there."""
    made = folder / "python" / "bin" / f"{package}t"
    if not made.exists():
        build = folder / "build"
        build.mkdir(exist_ok=True)
        options = [
            "--disable-gil",
            "--with-thread-sanitizer",
            "--disable-test-modules",
            "--without-ensurepip",
        ]
        run(
            str(sources(package, folder) / "configure"),
            "-q",
            f"--prefix={folder / 'python'}",
            *options,
            folder=build,
        )
        run("make", "-s", f"-j{len(os.sched_getaffinity(0))}", folder=build)
        run("make", "-s", "install", folder=build)
    return str(made)


def main(package: str, where: str) -> None:
    """Make it all."""
    folder = Path(where).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    made = python(package, folder)
    run(made, "-m", "ensurepip")
    run(made, "-m", "pip", "install", "--quiet", "--prefer-binary", *TOOLS)  # some newest have none
    run(
        *(
            made,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-build-isolation",
            "--no-deps",
            "--force-reinstall",
            ".",
        ),
        f"-Cbuild-dir={folder / 'lstmfast'}",
        "-Ccmake.build-type=RelWithDebInfo",
        "-Ccmake.define.CMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1",
        "-Ccmake.define.LSTMFAST_SANITIZE=thread",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
