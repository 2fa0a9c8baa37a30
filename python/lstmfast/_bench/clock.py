"""How long calls take: one round of them, and about how long one is before any round.

Of nothing but the standard library, for `peer` takes this very file along into processes of other revisions:
all who are compared are timed by the same lines.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

__all__ = ["Timed", "estimate", "rest", "take_round"]

# The threads of the engine before spin a while for more work (0.05 to 40 ms, as they are made), on CPUs that
# the next one needs. So several threads begin with a rest: pauses until the process takes no CPU time in one,
# which the system may count in ticks of 4 ms.
PAUSE = 0.01
QUIET = 0.002
MOST_PAUSES = 20


class Timed(Protocol):
    """What is called, and what is entered around a round of calls."""

    @property
    def call(self) -> Callable[[], Any]:
        """Make one call."""

    @property
    def context(self) -> Callable[[], AbstractContextManager[object]]:
        """Make what is entered."""


def rest() -> None:
    """Wait until all threads of this process are asleep, for `MOST_PAUSES` pauses at most."""
    for _ in range(MOST_PAUSES):
        before = time.process_time()
        time.sleep(PAUSE)
        if time.process_time() - before < QUIET:
            return


def estimate(run: Timed, share: float, seconds: float) -> float:
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


def take_round(run: Timed, calls: int, warm: bool) -> tuple[float, float]:
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
