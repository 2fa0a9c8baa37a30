"""Run a command in a Debian suite, in a folder of its own: in_debian.py SUITE FOLDER PACKAGES COMMAND...

A suite has the Python that this machine has not. FOLDER gets a small Debian, made by debootstrap when it is
not there yet, with PACKAGES (a list with commas) and a copy of this repository, all that git does not ignore,
in which COMMAND runs. pip is told there what it is told here. Needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPY = "srv/lstmfast"

# How this machine reaches others: names, certificates, what pip is told.
NETWORK = ("etc/hosts", "etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt", "etc/pip.conf", "etc/xdg/pip")

# In a mount namespace of its own: what is mounted there is gone with the command.
ENTER = """
mount -t proc proc "$0/proc"
mount -t tmpfs tmpfs "$0/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$0/dev/pts"
exec chroot "$0" "$@"
"""


def environment() -> dict[str, str]:
    """Choose what the command is to see: of this machine, what pip and we ourselves are told."""
    told = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("PIP_", "LSTMFAST_")) or name.lower().endswith("_proxy")
    }
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    # Files need not survive a power failure here: dpkg waits for the disk at each of thousands.
    return {**told, "PATH": path, "HOME": "/srv", "LANG": "C.UTF-8", "DPKG_FORCE": "unsafe-io"}


def run(folder: Path, *command: str) -> None:
    """Run a command with `folder` for its root, in the copy of the repository if that is there."""
    here = f"/{COPY}" if (folder / COPY).is_dir() else "/"
    inside = ("sh", "-c", 'cd "$0" && exec "$@"', here, *command)
    subprocess.run(
        ["unshare", "--mount", "--fork", "sh", "-ec", ENTER, str(folder), *inside],
        env=environment(),
        check=True,
    )


def make(suite: str, folder: Path, packages: list[str]) -> None:
    """Make the folder, and see that it has the packages."""
    made = folder / "etc" / "made-for-lstmfast"
    if not made.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        subprocess.run(
            ["debootstrap", "--variant=minbase", suite, str(folder)], env=environment(), check=True
        )
        made.touch()
    bring_network(folder)
    # Mirrors may lag, and debootstrap does not mind either.
    run(folder, "apt-get", "update", "-qq", "-o", "Acquire::Check-Valid-Until=false")
    run(
        folder,
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "install",
        "-qq",
        "--no-install-recommends",
        *packages,
    )
    bring_network(folder)  # a package of certificates may have replaced ours


def bring_network(folder: Path) -> None:
    """Copy what says how to reach others."""
    for name in NETWORK:
        here, there = Path("/") / name, folder / name
        if here.is_dir():
            shutil.copytree(here, there, dirs_exist_ok=True)
        elif here.is_file():
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(here, there)


def bring_repository(folder: Path) -> None:
    """Copy the repository as it is now, without what git ignores."""
    copy = folder / COPY
    shutil.rmtree(copy, ignore_errors=True)
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(listed, cwd=ROOT, text=True).split("\0"):
        if name and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)


def main(suite: str, where: str, packages: str, *command: str) -> int:
    """Make it all, and run the command; return its exit status."""
    folder = Path(where).resolve()
    try:
        make(suite, folder, packages.split(","))
        bring_repository(folder)
        run(folder, *command)
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
