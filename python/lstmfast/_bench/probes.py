"""What this machine itself can do, now: multiply-adds, and loads from each level of memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from lstmfast import _core

from .limits import Level, Limits

__all__ = ["measure"]

REPEATS = 3  # the best counts: a neighbour on the machine only ever makes a probe slower
SECONDS = 0.05
LEAST_MEMORY = 64 << 20  # bytes; four times the last cache where that is more


def measure(
    isa: str, threads: int, caches: Mapping[str, int] | None = None, seconds: float = SECONDS
) -> Limits:
    """Measure with as many threads at once as the engines get.

    Parameters
    ----------
    isa : str
        What the probes run on, as lstmfast itself does.
    threads : int
        How many at once; their rates are added up.
    caches : mapping, optional
        Name to bytes of the data caches that one core sees, fastest first; by default what the system says.
    seconds : float
        Of each probe.
    """
    sizes = _core.caches() if caches is None else dict(caches)
    gflops = _together(threads, lambda: _core.peak_gflops(isa, "float32", seconds))
    levels = []
    for k, (name, size) in enumerate(sizes.items()):
        # The last cache is shared among cores; those before it each core has to itself.
        shared = k > 0 and k == len(sizes) - 1
        # Half of a cache is surely in it, whatever else the core needs.
        each = size // 2 // (threads if shared else 1)
        levels.append(_level(name, size if shared else size * threads, each, isa, threads, seconds))
    if sizes:
        large = max(LEAST_MEMORY, 4 * max(sizes.values()))
        levels.append(_level("memory", math.inf, large // threads, isa, threads, seconds))
    return Limits(gflops, tuple(levels))


def _level(name: str, capacity: float, nbytes: int, isa: str, threads: int, seconds: float) -> Level:
    nbytes = max(nbytes, 4096)
    return Level(name, capacity, _together(threads, lambda: _core.load_gbps(isa, nbytes, seconds)))


def _together(threads: int, probe: Callable[[], float]) -> float:
    """Run a probe in several threads at once (it releases the GIL) and add up; the best of some repeats."""
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(REPEATS):
            tasks = [pool.submit(probe) for _ in range(threads)]
            best = max(best, sum(task.result() for task in tasks))
    return best
