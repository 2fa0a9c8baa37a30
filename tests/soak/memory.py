"""What the process has of memory, as five counters that see different leaks.

A leak of a byte a step is seen in the heap long before it is seen in pages; memory that the core keeps for
later calls is no leak, and is told apart; objects of Python are not on the heap that the C library counts.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from pathlib import Path
from typing import NamedTuple

from lstmfast import _core

PAGE = os.sysconf("SC_PAGE_SIZE")


class Memory(NamedTuple):
    """Bytes, but for `objects`."""

    resident: int  # of the process, as the system has it
    heap: int  # that malloc has given out, less what the core keeps
    kept: int  # by the core, for later calls
    objects: int  # blocks of Python's own allocator
    tracked: int  # objects that its collector knows


class _Mallinfo2(ctypes.Structure):
    """As malloc.h has it."""

    _fields_ = (
        ("arena", ctypes.c_size_t),
        ("ordblks", ctypes.c_size_t),
        ("smblks", ctypes.c_size_t),
        ("hblks", ctypes.c_size_t),
        ("hblkhd", ctypes.c_size_t),  # in use, of the system's own
        ("usmblks", ctypes.c_size_t),
        ("fsmblks", ctypes.c_size_t),
        ("uordblks", ctypes.c_size_t),  # in use, of malloc's arenas
        ("fordblks", ctypes.c_size_t),
        ("keepcost", ctypes.c_size_t),
    )


def _mallinfo2() -> _Mallinfo2:
    try:
        ask = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        raise SystemExit("soak: needs mallinfo2, which glibc has from 2.33 on") from None
    ask.restype = _Mallinfo2
    found: _Mallinfo2 = ask()
    return found


def now() -> Memory:
    """Take all of them, when cycles of Python's objects are gone."""
    gc.collect()
    heap = _mallinfo2()
    kept = _core.idle_bytes()
    resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE
    return Memory(
        resident, heap.uordblks + heap.hblkhd - kept, kept, sys.getallocatedblocks(), len(gc.get_objects())
    )
