"""How long single calls take: of many calls, each timed by itself, what part is done within what time.

A mean, which is what `timing` keeps, says nothing of the one call in a thousand that comes late.
"""

from __future__ import annotations

import gc
from array import array
from dataclasses import dataclass
from time import perf_counter_ns

import numpy as np

from .engines import Run

__all__ = ["CALLS", "Latency", "measure"]

CALLS = 100_000
WARM = 100  # calls before that are not timed


@dataclass(frozen=True)
class Latency:
    """Seconds within which so many of all calls are done. The clock's own time, some 50 ns, is in it."""

    calls: int
    p50: float
    p99: float
    p999: float

    @property
    def parts(self) -> tuple[float, float, float]:
        """All three, the smallest first."""
        return self.p50, self.p99, self.p999


def measure(run: Run, seconds: float) -> Latency:
    """Time `CALLS` calls one by one, or as many as there is time for.

    Parameters
    ----------
    run : Run
        What is called.
    seconds : float
        The most that it may take, but for the last call.
    """
    call = run.call
    stamps = array("q", bytes(8 * (CALLS + 1)))  # memory that is there before, and no object for each call
    count = 0
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        with run.context():
            for _ in range(WARM):
                call()
            end = perf_counter_ns() + int(seconds * 1e9)
            now = stamps[0] = perf_counter_ns()
            while count < CALLS and now < end:
                call()
                count += 1
                now = stamps[count] = perf_counter_ns()
    finally:
        if enabled:
            gc.enable()
    p50, p99, p999 = np.percentile(np.diff(np.frombuffer(stamps, np.int64, count + 1)), (50, 99, 99.9)) / 1e9
    return Latency(count, float(p50), float(p99), float(p999))
