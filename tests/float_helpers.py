"""This thread's floating-point environment, read and set as a host program would: by the C library."""

from __future__ import annotations

import ctypes
import ctypes.util
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Where the control word lies in fenv_t, in bytes: MXCSR of glibc's and musl's, FPCR.
_PLACES = {("linux", "x86_64"): 28, ("linux", "aarch64"): 0}
_PLACE = _PLACES.get((sys.platform, platform.machine()), -1)

if _PLACE == 28:
    CONTROLS = {
        "flush to zero": 0x9F80,
        "denormals are zero": 0x1FC0,
        "both": 0x9FC0,
        "down": 0x3F80,
        "up": 0x5F80,
        "towards zero": 0x7F80,
    }
    _FLAGS = 0x3F  # of what has happened
else:
    CONTROLS = {"flush to zero": 1 << 24, "up": 1 << 22, "down": 2 << 22, "towards zero": 3 << 22}
    _FLAGS = 0

CAN_BE_SET = _PLACE >= 0
DEFAULT = 0x1F80 if _PLACE == 28 else 0
_libm = ctypes.CDLL(ctypes.util.find_library("m")) if CAN_BE_SET else None


def control() -> int:
    """What this thread asks of its arithmetic."""
    return int.from_bytes(_environment()[_PLACE : _PLACE + 4], "little") & ~_FLAGS


def set_control(value: int) -> None:
    """Ask for something else. Python's and NumPy's own arithmetic then does that, too."""
    environment = _environment()
    environment[_PLACE : _PLACE + 4] = value.to_bytes(4, "little")
    assert _libm is not None
    assert _libm.fesetenv((ctypes.c_char * len(environment)).from_buffer(environment)) == 0


@contextmanager
def host(value: int) -> Iterator[None]:
    """Have another environment for a while, and see that it is still there at the end."""
    before = control()
    set_control(value)
    try:
        yield
        assert control() == value
    finally:
        set_control(before)


def _environment() -> bytearray:
    environment = bytearray(64)
    assert _libm is not None
    assert _libm.fegetenv((ctypes.c_char * len(environment)).from_buffer(environment)) == 0
    return environment
