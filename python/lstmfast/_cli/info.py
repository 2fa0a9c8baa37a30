"""What `lstmfast info` says: the package, and the machine as the package sees it."""

from __future__ import annotations

import os
import platform

import numpy as np

import lstmfast
from lstmfast import _core
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
        "weights": _far_weights(),
    }
    width = max(map(len, subjects))
    return [f"{name:<{width}}  {value}" for name, value in subjects.items()]


def _far_weights() -> str:
    """Return what is done about weights that come from far away, chosen by the ISA and the caches (float32)."""
    chosen = {name: cpu.in_units(size) for name, size in _core.heuristics(lstmfast.isa()).items()}
    return (
        f"asked for ahead of use from {chosen['ask_from']} on; input products of several steps at once from "
        f"{chosen['merge_few_from']} on, with more than 8 rows from {chosen['merge_from']} on"
    )


# A variable that is empty is as good as not set, here as where they are read.


def _isa_origin() -> str:
    return "forced by LSTMFAST_ISA" if os.environ.get("LSTMFAST_ISA", "").strip() else "the fastest here"


def _threads_origin() -> str:
    if os.environ.get("LSTMFAST_NUM_THREADS", "").strip():
        return "from LSTMFAST_NUM_THREADS"
    return "the CPUs that this process may use"
