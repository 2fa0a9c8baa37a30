"""What the machine says of its CPU: its name, and its caches."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

from lstmfast import _core

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


def cache_sizes() -> dict[str, str]:
    """Return the data caches of one core as the core sees them, smallest first: {"L1d": "32 KiB", ...}."""
    return {name: in_units(size) for name, size in _core.caches().items()}


def in_units(size: int) -> str:
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
