"""What the operating system says of the CPU: its name, and its caches."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

UNKNOWN = "unknown"


def cpu_model() -> str:
    """Return the CPU's name as the operating system gives it, or "unknown"."""
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string") or UNKNOWN
    for line in _read("/proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name" and value.strip():
            return value.strip()
    # Arm kernels name no model; platform.processor() is "" or the architecture where nothing is known.
    return platform.processor() or UNKNOWN


def features() -> frozenset[str]:
    """Return what the CPU can do as the operating system names it, small and without _; empty where unknown.

    Linux on x86-64 and macOS on Intel's CPUs name VNNI alike: "avx512vnni", "avxvnni".
    """
    if sys.platform == "darwin":
        text = " ".join(_sysctl(f"machdep.cpu.{name}features") for name in ("", "leaf7_"))
    else:
        match = re.search(r"^flags\s*:(.*)$", _read("/proc/cpuinfo"), re.M)
        text = match[1] if match else ""
    return frozenset(text.lower().replace("_", "").split())


def cache_sizes(cpu: Path = Path("/sys/devices/system/cpu/cpu0")) -> dict[str, str]:
    """Return the data caches of one core, smallest first: {"L1d": "32 KiB", ...}; empty where unknown.

    Parameters
    ----------
    cpu : Path
        The core's folder in Linux's sysfs; not used on macOS.
    """
    if sys.platform == "darwin":
        keys = {"L1d": "hw.l1dcachesize", "L2": "hw.l2cachesize", "L3": "hw.l3cachesize"}
        sizes = {name: _sysctl(key) for name, key in keys.items()}
        return {name: _in_units(int(size)) for name, size in sizes.items() if size.isdigit() and int(size)}
    found = {}
    for folder in sorted(cpu.glob("cache/index[0-9]*")):
        level, kind, size = (_read(folder / name).strip() for name in ("level", "type", "size"))
        number = re.fullmatch(r"(\d+)([KM]?)", size)  # sysfs writes "32K"
        if kind == "Instruction" or not level or number is None:
            continue
        name = f"L{level}d" if kind == "Data" else f"L{level}"
        found[name] = _in_units(int(number[1]) * {"": 1, "K": 1 << 10, "M": 1 << 20}[number[2]])
    return dict(sorted(found.items()))


def _in_units(size: int) -> str:
    """Return a size in bytes in the largest unit that keeps it whole."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"


def _read(path: str | Path) -> str:
    """Return a text file's content, or "" where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _sysctl(key: str) -> str:
    """Return one value of macOS's sysctl, or "" where it cannot be had."""
    try:
        done = subprocess.run(["sysctl", "-n", key], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
