"""See that a source distribution has all it needs and nothing more: check_sdist.py FILE."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST_BYTES = 3_000_000
# What is built, what is said of it, and the tests of it.
NEEDED = ("cpp/", "python/", "tests/", "docs/", "examples/")
NEEDED_FILES = {"CMakeLists.txt", "CMakePresets.json", "pyproject.toml"}
NEEDED_FILES |= {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "SECURITY.md"}
KEPT_BACK = ("tests/house/", "docs/figures/")

archive = Path(sys.argv[1])
with tarfile.open(archive) as tar:
    names = {member.name.split("/", 1)[1] for member in tar.getmembers() if member.isfile()}
listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
expected = {
    name
    for name in filter(None, listed)
    if (name.startswith(NEEDED) and not name.startswith(KEPT_BACK)) or name in NEEDED_FILES
} | {"PKG-INFO"}
wrong = [f"not in it: {name}" for name in sorted(expected - names)]
wrong += [f"should not be in it: {name}" for name in sorted(names - expected)]
if archive.stat().st_size > MOST_BYTES:
    wrong.append(f"{archive.stat().st_size} bytes, at most {MOST_BYTES} allowed")
if wrong:
    sys.exit("\n".join([f"{archive.name}:", *wrong]))
print(f"{archive.name}: {len(names)} files, {archive.stat().st_size} bytes")
