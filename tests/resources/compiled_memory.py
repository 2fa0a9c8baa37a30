"""Memory that C++ and NumPy's arrays take, failing where it is told to: a library that comes first."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from .trying import Failure

SOURCE = Path(__file__).with_name("memory_that_fails.cpp")
COMPILER = shutil.which(os.environ.get("CXX", "c++"))
_SET_HANDLER = 304  # its place in NumPy's table: PyDataMem_SetHandler


def compiled(folder: Path) -> Path:
    """Compile the library."""
    library = folder / "memory_that_fails.so"
    assert COMPILER is not None
    subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", SOURCE, "-o", library, "-ldl"], check=True)
    return library


class CompiledMemory(Failure):
    """C++'s operator new, the core's buffers and NumPy's data, in a process that began with the library."""

    def __init__(self, library: str) -> None:
        self._library = ctypes.PyDLL(library)
        _install_in_numpy(ctypes.addressof(ctypes.c_char.in_dll(self._library, "numpy_handler")))
        self._library.memory_held.restype = ctypes.c_long

    def begin(self, place: int, lasting: bool) -> None:
        self._library.begin_failing(ctypes.c_long(place), ctypes.c_int(lasting))

    def end(self) -> None:
        self._library.end_failing()

    def held(self) -> int:
        count: int = self._library.memory_held()
        return count


def _install_in_numpy(handler: int) -> None:
    """Have new arrays take their memory from a handler, for good."""
    import numpy as np

    core: Any = np._core._multiarray_umath  # type: ignore[attr-defined]
    pointer, new = ctypes.pythonapi.PyCapsule_GetPointer, ctypes.pythonapi.PyCapsule_New
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    table = ctypes.cast(pointer(core._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
    set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(table[_SET_HANDLER])
    set_handler(new(handler, b"mem_handler", None))
