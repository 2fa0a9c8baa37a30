"""What Python's own allocator gives out meanwhile."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

ATTEMPTS = 5


def python_memory(run: Callable[[], object]) -> tuple[int, int]:
    """Bytes that `run` leaves taken, and has taken at most: the least of some runs.

    For others may take some at the same time: the thread in which pytest-xdist hears of its next tests.
    """
    kept, most = [], []
    tracemalloc.start()
    try:
        run()
        for _ in range(ATTEMPTS):
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            run()
            after, peak = tracemalloc.get_traced_memory()
            kept.append(after - before)
            most.append(peak - before)
    finally:
        tracemalloc.stop()
    return min(kept), min(most)
