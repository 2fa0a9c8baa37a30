"""PyTorch's threads: our work in a model runs on those that the rest of the model runs on.

After an operator of PyTorch's its OpenMP threads spin for milliseconds, on the very CPUs that a pool of our
own would need next: a model of several layers ran slower with two threads than with one.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import torch

from .. import _core

_FUNCTIONS = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads", "omp_in_parallel")
_PAUSE_SOFT = 1  # omp_pause_soft


class _Forks:
    """A fork beside GNU's OpenMP, whose threads it would leave behind without the runtime's knowing.

    A child that runs any parallel operator of PyTorch's, and one of a training step always is, would wait for
    them for ever. So the runtime ends the forking thread's before (0.1 ms) and makes new ones when it needs
    them, here and in the child. Runtimes of other makes see to it themselves.
    """

    def __init__(self) -> None:
        self._runtime: ctypes.CDLL | None = None
        self._ended = False

    def survive(self, runtime: ctypes.CDLL) -> None:
        """See to it from now on, if it is a runtime that needs and can do it."""
        if not hasattr(os, "register_at_fork") or hasattr(runtime, "__kmpc_fork_call"):
            return
        if not hasattr(runtime, "omp_pause_resource_all"):  # GCC before 9
            return
        if self._runtime is None:
            os.register_at_fork(before=self._before, after_in_child=self._after_in_child)
        self._runtime = runtime

    def _before(self) -> None:
        # Not where there is nothing to end: inside of a parallel region it says so, and does nothing.
        self._ended = self._runtime is not None and self._runtime.omp_pause_resource_all(_PAUSE_SOFT) == 0

    def _after_in_child(self) -> None:
        if self._ended and self._runtime is not None:  # the core has forgotten the runtime, as after any fork
            _lend(self._runtime)


_forks = _Forks()


def borrow() -> bool:
    """Let the core use the threads of PyTorch's OpenMP runtime; return whether they were found.

    The functions are looked for where PyTorch's own code finds them. Where there are none (a PyTorch with
    threads of another kind), the core's own threads do.
    """
    # First what was loaded for all to see (LD_PRELOAD), then what PyTorch's library itself brings.
    for library in (None, *map(str, sorted(Path(torch.__file__).parent.glob("lib/libtorch_cpu.*")))):
        try:
            found = ctypes.CDLL(library)
            lent = _lend(found)
        except (OSError, AttributeError, TypeError):  # TypeError: on Windows nothing is loaded without a name
            continue
        if lent:
            _forks.survive(found)
            return True
    return False


def _lend(runtime: ctypes.CDLL) -> bool:
    addresses = [ctypes.cast(getattr(runtime, name), ctypes.c_void_p).value or 0 for name in _FUNCTIONS]
    if all(addresses):
        _core.lend_threads(*addresses)
    return all(addresses)
