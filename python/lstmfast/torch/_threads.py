"""PyTorch's threads: our work in a model runs on those that the rest of the model runs on.

After an operator of PyTorch's its OpenMP threads spin for milliseconds, on the very CPUs that a pool of our
own would need next: a model of several layers ran slower with two threads than with one.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import torch

from .. import _core

_FUNCTIONS = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads", "omp_in_parallel")


def borrow() -> bool:
    """Let the core use the threads of PyTorch's OpenMP runtime; return whether they were found.

    The functions are looked for where PyTorch's own code finds them. Where there are none (a PyTorch with
    threads of another kind), the core's own threads do.
    """
    # First what was loaded for all to see (LD_PRELOAD), then what PyTorch's library itself brings.
    for library in (None, *map(str, sorted(Path(torch.__file__).parent.glob("lib/libtorch_cpu.*")))):
        try:
            found = ctypes.CDLL(library)
            addresses = [ctypes.cast(getattr(found, name), ctypes.c_void_p).value or 0 for name in _FUNCTIONS]
        except (OSError, AttributeError):
            continue
        if all(addresses):
            _core.lend_threads(*addresses)
            return True
    return False
