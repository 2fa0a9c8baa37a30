"""Instruction set and threads: what the machine has, what the environment asks for, what is used."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from .. import _core
from . import checks

# More threads than any machine has CPUs for us; a number mistyped must not start a million of them.
MAX_THREADS = 4096


def available_isas() -> list[str]:
    """Name the instruction sets that this machine can run the kernels with, fastest first.

    "scalar" is always there and always last.
    """
    return _core.available_isas()


def isa() -> str:
    """Name the instruction set that models use unless they are made with another.

    It is what the environment variable `LSTMFAST_ISA` named when lstmfast was imported, or else the
    fastest that this machine has.
    """
    return _ISA


def get_num_threads() -> int:
    """Return how many threads a call may use."""
    return _core.get_num_threads()


def set_num_threads(n: int) -> None:
    """Set how many threads a call may use, for the whole process. Results do not depend on it.

    At import it is what the environment variable `LSTMFAST_NUM_THREADS` says, or else the CPUs that this
    process may use (its affinity and its cgroup's quota).

    Raises
    ------
    TypeError
        If n is no integer.
    ValueError
        If n < 1 or n > 4096.
    """
    _core.set_num_threads(checks.integer(n, "n", 1, MAX_THREADS))


def isa_from_environment() -> str:
    """Read `LSTMFAST_ISA`, or else take the fastest instruction set.

    Raises
    ------
    ValueError
        If the variable holds anything but the name of one that this machine has. Empty is as good as not set.
    """
    available = _core.available_isas()
    text = os.environ.get("LSTMFAST_ISA", "").strip()
    return checks.choice(text, "LSTMFAST_ISA", available) if text else available[0]


def threads_from_environment() -> int:
    """Read `LSTMFAST_NUM_THREADS`, or else count the CPUs that this process may use.

    Raises
    ------
    ValueError
        If the variable holds anything but an integer from 1 to 4096. Empty is as good as not set.
    """
    text = os.environ.get("LSTMFAST_NUM_THREADS", "").strip()
    if not text:
        return min(usable_cpus(), MAX_THREADS)
    # int() takes more than anybody means, such as "1_0"; and a number of 5000 digits makes it slow.
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= MAX_THREADS):
        got = text if len(text) <= 80 else text[:80] + "..."
        raise ValueError(f"LSTMFAST_NUM_THREADS: expected an integer from 1 to {MAX_THREADS}, got {got!r}")
    return int(text)


def usable_cpus() -> int:
    """Count the CPUs of this process's affinity, but no more than its cgroup's quota, rounded up."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = cgroup_quota()
    return max(1, cpus if quota is None else min(cpus, math.ceil(quota)))


def cgroup_quota(
    membership: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")
) -> float | None:
    """Find how many CPUs' time this process's cgroups grant it, the least along the way up; None is no limit.

    Each line of `membership` is `id:controllers:path`; version 2 has id 0 and no controllers. Inside a
    container the path is often the host's, of which only a tail, or nothing, is mounted: every
    directory of the path that exists counts, down to the mount itself.
    """
    quotas = []
    try:
        lines = membership.read_text().splitlines()
    except (OSError, ValueError):
        return None  # not Linux, or not ours to read
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not path.startswith("/"):
            continue
        if number == "0" and not controllers:
            for folder in _upwards((mount, mount / "unified"), path):
                quotas.append(_ratio(_read(folder / "cpu.max")))
        elif "cpu" in controllers.split(","):
            for folder in _upwards((mount / controllers, mount / "cpu"), path):
                quota = _read(folder / "cpu.cfs_quota_us")
                period = _read(folder / "cpu.cfs_period_us")
                quotas.append(_ratio(f"{quota} {period}"))
    return min((quota for quota in quotas if quota is not None), default=None)


def _upwards(mounts: tuple[Path, ...], path: str) -> Iterator[Path]:
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
    for mount in mounts:
        for length in range(len(parts), -1, -1):
            yield mount.joinpath(*parts[:length])


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""


def _ratio(text: str) -> float | None:
    """Divide "quota period"; None for "max", -1 and whatever else is no limit."""
    try:
        quota, period = map(int, text.split())
        return quota / period if quota > 0 and period > 0 else None
    except ValueError:
        return None


def is_command() -> bool:
    """Whether this process is the `lstmfast` command, and the package is being imported to run it.

    That is `python -m lstmfast`, where Python imports the package before it runs `__main__`, and has "-m" for
    argv[0] as long as it looks for that; or the installed script. Both import the package first of all, so
    no code of the command can be there before the package's own.
    """
    arguments = getattr(sys, "argv", None)  # Python may be embedded
    if not arguments:
        return False
    if arguments[0] == "-m":
        return sys.orig_argv[-len(arguments)] in ("lstmfast", "-mlstmfast")
    return os.path.basename(arguments[0]) in ("lstmfast", "lstmfast.exe")


try:
    _ISA = isa_from_environment()
    _core.set_num_threads(threads_from_environment())
except ValueError as error:
    if not is_command():
        raise
    # Whoever runs the command has mistyped a variable, and is told so as of any other option.
    print(f"lstmfast: error: {error}", file=sys.stderr)
    raise SystemExit(2) from None
