"""Interleaved rounds: A B C A B C, so that whatever else the machine does meets everyone alike.

An engine gets about the same time, however long one call takes: many calls a round if they are short, and if
one call is longer than a round, fewer rounds, spread evenly. A time is the mean over a round's calls; of the
rounds the best and the median are kept (and all, in the JSON file).
"""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from .engines import Run

__all__ = ["Timing", "measure"]

ROUNDS = 12
FEWEST_ROUNDS = 3
# The threads of the engine before spin a while for more work (0.05 to 40 ms, as they are made), on CPUs that
# the next one needs. So several threads begin with a rest: pauses until the process takes no CPU time in one,
# which the system may count in ticks of 4 ms.
PAUSE = 0.01
QUIET = 0.002
MOST_PAUSES = 20


@dataclass
class Timing:
    """Of one engine: seconds a call, round by round."""

    calls: int  # in a round
    warm: bool  # whether a round begins with calls that are not timed: all but long ones
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0  # of the whole process while the calls ran
    wall_seconds: float = 0.0

    def take(self, elapsed: float, cpu: float) -> None:
        """Take in a round, and the CPU time that passed meanwhile."""
        self.cpu_seconds += cpu
        self.wall_seconds += elapsed
        self.seconds.append(elapsed / self.calls)


def measure(
    runs: Mapping[str, Run],
    seconds: float,
    *,
    threads: int = 1,
    failed: Callable[[str, Exception], None],
    before_round: Callable[[str, int], None] = lambda name, number: None,
) -> dict[str, Timing]:
    """Time all runs turn about.

    Parameters
    ----------
    runs : mapping
        By name, in their order.
    seconds : float
        About how long each may take.
    threads : int
        With more than one there is a rest before each turn.
    failed : callable
        Told of a run that raises, which then is left out of the rounds to come; the others go on.
    before_round : callable
        Told whose turn it is, and which.

    Returns
    -------
    dict
        Those runs that have not failed.
    """
    share = seconds / ROUNDS
    timings: dict[str, Timing] = {}
    turns: dict[str, list[bool]] = {}
    with without_collections():
        for name, run in runs.items():
            if threads > 1:
                rest()
            try:
                one = run.do(_estimate, share, seconds)
            except Exception as error:  # an engine may raise anything
                failed(name, error)
                continue
            timings[name] = Timing(max(1, round(share / one)), warm=one < share)
            turns[name] = spread(ROUNDS, min(ROUNDS, max(FEWEST_ROUNDS, int(seconds / one))))
        for number in range(ROUNDS):
            for name in [name for name in timings if turns[name][number]]:
                before_round(name, number)
                if threads > 1:
                    rest()
                try:
                    timings[name].take(*runs[name].do(_round, timings[name].calls, timings[name].warm))
                except Exception as error:
                    failed(name, error)
                    del timings[name]
    return timings


@contextmanager
def without_collections() -> Iterator[None]:
    """Let no garbage be collected meanwhile, as `timeit` does: what others left behind is nobody's work."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def rest() -> None:
    """Wait until all threads of this process are asleep, for `MOST_PAUSES` pauses at most."""
    for _ in range(MOST_PAUSES):
        before = time.process_time()
        time.sleep(PAUSE)
        if time.process_time() - before < QUIET:
            return


def spread(slots: int, count: int) -> list[bool]:
    """Choose `count` of so many slots, evenly."""
    return [(k + 1) * count // slots > k * count // slots for k in range(slots)]


def _estimate(run: Run, share: float, seconds: float) -> float:
    """Find about how long a call takes, at best: one that is disturbed must not seem to be a long one."""
    with run.context():
        one = _time(run.call, 1)
        if one < seconds:
            one = min(one, _time(run.call, 1), _time(run.call, 1))
        calls = 1
        while calls * one < share / 4 and calls < 1 << 20:
            calls *= 4
            one = min(one, _time(run.call, calls) / calls)
    return max(one, 1e-9)


def _round(run: Run, calls: int, warm: bool) -> tuple[float, float]:
    """Return the seconds that so many calls took, and the CPU time of the whole process meanwhile."""
    with run.context():
        if warm:
            # Not timed: wakes threads up, brings code and weights back into the caches.
            for _ in range(min(calls, 3)):
                run.call()
        cpu = time.process_time()
        elapsed = _time(run.call, calls)
        return elapsed, time.process_time() - cpu


def _time(call: Callable[[], object], calls: int) -> float:
    turns: Iterable[None] = itertools.repeat(None, calls)  # the cheapest loop there is
    start = time.perf_counter()
    for _ in turns:
        call()
    return time.perf_counter() - start
