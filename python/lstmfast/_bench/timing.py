"""Interleaved rounds: A B C A B C, so that whatever else the machine does meets everyone alike.

An engine gets about the same time, however long one call takes: many calls a round if they are short, and if
one call is longer than a round, fewer rounds, spread evenly. A time is the mean over a round's calls; of the
rounds the best and the median are kept (and all, in the JSON file).
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from . import clock
from .clock import rest
from .engines import Run

__all__ = ["Timing", "measure", "rest"]

ROUNDS = 12
FEWEST_ROUNDS = 3


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
                one = run.do(clock.estimate, share, seconds)
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
                    timings[name].take(
                        *runs[name].do(clock.take_round, timings[name].calls, timings[name].warm)
                    )
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


def spread(slots: int, count: int) -> list[bool]:
    """Choose `count` of so many slots, evenly."""
    return [(k + 1) * count // slots > k * count // slots for k in range(slots)]
