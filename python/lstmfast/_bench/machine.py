"""Where it was measured: machine, CPU, compiler, versions."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import numpy as np

import lstmfast
from lstmfast import _core
from lstmfast._base import cpu, runtime

__all__ = ["describe"]

# What compilers leave in what they have made.
_COMPILER = re.compile(rb"GCC: \([^)\n]{0,100}\) [\d.]+|(?:[A-Za-z]+ )?clang version [\d.]+")


def describe() -> dict[str, str]:
    """Return what is known, by subject."""
    return {
        "CPU": cpu.cpu_model(),
        "CPUs usable": str(runtime.usable_cpus()),
        "caches of a core": ", ".join(f"{name} {size}" for name, size in cpu.cache_sizes().items())
        or "unknown",
        "platform": platform.platform(),
        "load": _load(),
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "NumPy": np.__version__,
        "lstmfast": lstmfast.__version__,
        "compiler": compiler(Path(str(_core.__file__))),
        "ISAs": ", ".join(lstmfast.available_isas()),
    }


def compiler(library: Path) -> str:
    """Return the compiler of a shared library as it says itself, or "unknown"."""
    try:
        found = _COMPILER.findall(library.read_bytes())
    except OSError:
        return "unknown"
    return ", ".join(sorted({text.decode("ascii", "replace") for text in found})) or "unknown"


def _load() -> str:
    """Return how busy the machine was when the run began: other work makes every figure worse."""
    try:
        return f"{os.getloadavg()[0]:.2f}"
    except (AttributeError, OSError):
        return "unknown"
