"""How long single calls take: of many calls, each timed by itself, what part is done within what time.

A mean, which is what `timing` keeps, says nothing of the one call in a thousand that comes late.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray

from . import timing
from .engines import Run

__all__ = ["CALLS", "Latency", "measure"]

CALLS = 100_000
ROUNDS = 10  # in which they are dealt out, so that a disturbance does not meet one engine alone
WARM = 100  # calls before each round that are not timed, or as many as a quarter of its time allows


@dataclass(frozen=True)
class Latency:
    """Seconds within which so many of all calls are done. The clock's own time, some 0.1 us, is in it."""

    calls: int
    p50: float
    p99: float
    p999: float

    @property
    def parts(self) -> tuple[float, float, float]:
        """All three, the smallest first."""
        return self.p50, self.p99, self.p999


def measure(
    runs: Mapping[str, Run],
    seconds: float,
    *,
    threads: int = 1,
    failed: Callable[[str, Exception], None],
) -> dict[str, Latency]:
    """Time `CALLS` calls of each run one by one, or as many as there is time for, turn about.

    Parameters
    ----------
    runs : mapping
        By name, in their order.
    seconds : float
        The most that each may take, but for the last call of a round.
    threads : int
        With more than one there is a rest before each turn.
    failed : callable
        Told of a run that raises, which is then left out; the others go on.
    """
    taken: dict[str, list[NDArray[np.int64]]] = {name: [] for name in runs}
    with timing.without_collections():
        for _ in range(ROUNDS):
            for name in list(taken):
                if threads > 1:
                    timing.rest()
                try:
                    taken[name].append(runs[name].do(_round, CALLS // ROUNDS, seconds / ROUNDS))
                except Exception as error:  # an engine may raise anything
                    failed(name, error)
                    del taken[name]
    return {name: _latency(np.concatenate(rounds)) for name, rounds in taken.items()}


def _round(run: Run, calls: int, seconds: float) -> NDArray[np.int64]:
    """Return the nanoseconds of so many calls, or of as many as there is time for."""
    call = run.call
    stamps = array("q", bytes(8 * (calls + 1)))  # memory that is there before, and no object for each call
    count = 0
    with run.context():
        begin, time_limit = perf_counter_ns(), int(seconds * 1e9)
        for _ in range(WARM):
            call()
            if perf_counter_ns() - begin > time_limit // 4:
                break
        end = perf_counter_ns() + time_limit
        now = stamps[0] = perf_counter_ns()
        while count < calls and now < end:
            call()
            count += 1
            now = stamps[count] = perf_counter_ns()
    times = np.frombuffer(stamps, np.int64, count + 1)
    return times[1:] - times[:-1]


def _latency(nanoseconds: NDArray[np.int64]) -> Latency:
    p50, p99, p999 = np.percentile(nanoseconds, (50, 99, 99.9)) / 1e9
    return Latency(len(nanoseconds), float(p50), float(p99), float(p999))
