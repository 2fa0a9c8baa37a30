"""What `lstmfast info` says: the package, and the machine as the package sees it."""

from __future__ import annotations

import os
import platform

import numpy as np

import lstmfast
from lstmfast._base import cpu

__all__ = ["lines"]


def lines() -> list[str]:
    """Return the report, one subject a line, in plain text."""
    others = [isa for isa in lstmfast.available_isas() if isa != lstmfast.isa()]
    subjects = {
        "lstmfast": lstmfast.__version__,
        "ISA": f"{lstmfast.isa()} ({_isa_origin()}; also here: {', '.join(others) or 'none'})",
        "threads": f"{lstmfast.get_num_threads()} ({_threads_origin()})",
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "NumPy": np.__version__,
        "platform": platform.platform(),
        "CPU": cpu.cpu_model(),
        "caches": ", ".join(f"{name} {size}" for name, size in cpu.cache_sizes().items()) or cpu.UNKNOWN,
    }
    width = max(map(len, subjects))
    return [f"{name:<{width}}  {value}" for name, value in subjects.items()]


# A variable that is empty is as good as not set, here as where they are read.


def _isa_origin() -> str:
    return "forced by LSTMFAST_ISA" if os.environ.get("LSTMFAST_ISA", "").strip() else "the fastest here"


def _threads_origin() -> str:
    if os.environ.get("LSTMFAST_NUM_THREADS", "").strip():
        return "from LSTMFAST_NUM_THREADS"
    return "the CPUs that this process may use"
