"""Each public call with something failing in its midst, at each place in turn: a child process of tests.

A call raises what it must, and then nothing has changed and the same call does what it always does; or it
manages, with the results that it always has.
"""

from __future__ import annotations

import gc
import importlib
import sys
from abc import ABC, abstractmethod
from typing import Any

from .public_calls import CALLS, DIRECT, Call, bits


class Failure(ABC):
    """What fails, at a place in a call that is counted from 0."""

    error: type[BaseException] = MemoryError
    repeats = 1  # of a place, so that what leaks there stands out

    @abstractmethod
    def begin(self, place: int, lasting: bool) -> None:
        """Have it fail at this place; lasting: and at all places after it."""

    @abstractmethod
    def end(self) -> None:
        """Nothing fails any more."""

    def counts(self, name: str) -> bool:
        """Whether what a call leaves is its own, and not the interpreter's."""
        return True

    @abstractmethod
    def held(self) -> int:
        """How much is held of what could leak."""


class PythonMemory(Failure):
    """Python's allocators, all three of them."""

    repeats = 8

    def __init__(self) -> None:
        allocators = importlib.import_module("_testcapi")
        self._begin = allocators.set_nomemory
        self.end = allocators.remove_mem_hooks  # type: ignore[method-assign]

    def begin(self, place: int, lasting: bool) -> None:
        gc.collect()  # or small tuples that were kept would serve without memory
        self._begin(place, 0 if lasting else place + 1)

    def end(self) -> None:  # replaced above: looking for it would need memory
        raise NotImplementedError

    def counts(self, name: str) -> bool:
        return name in DIRECT

    def held(self) -> int:
        gc.collect()
        return sys.getallocatedblocks()


def attempt(name: str, failure: Failure, place: int, lasting: bool, right: Any) -> bool:
    """Have a call fail at a place; return whether it raised."""
    call = CALLS[name]()
    before = call.seen()
    begin, end, run = failure.begin, failure.end, call.run
    raised: BaseException | None = None
    result = None
    begin(place, lasting)
    try:
        result = run()
    except BaseException as error:
        end()
        raised = error
    end()
    where = f"{name}, at {place}{' and after' if lasting else ''}"
    if raised is not None:
        if not isinstance(raised, failure.error):
            raise AssertionError(f"{where}: expected {failure.error}") from raised
        after = call.seen()
        assert after == before, f"{where}: it raised, but something has changed"
        raised = None
        result = call.run()
        raised_at_all = True
    else:
        raised_at_all = False
    assert (bits(result), call.seen()) == right, f"{where}: other bits, {raised_at_all=}"
    return raised_at_all


def tried(name: str, failure: Failure, place: int, lasting: bool, right: Any) -> bool:
    """Attempt it some times, and again where more is held after that; return whether it raised.

    What leaks does so in each attempt; a little comes and goes with caches.
    """
    if not failure.counts(name):
        return attempt(name, failure, place, lasting, right)
    for _ in range(25):
        before = failure.held()
        for _ in range(failure.repeats):
            raised = attempt(name, failure, place, lasting, right)
        if failure.held() - before >= failure.repeats:
            gc.collect()
        if failure.held() - before < failure.repeats:
            return raised
    raise AssertionError(f"{name}, at {place}: something is left each time")


def check(name: str, failure: Failure) -> int:
    """Try each place of a call until nothing is left that could fail; return how many there are."""
    call: Call = CALLS[name]()
    right = bits(call.run()), call.seen()
    place = 0
    while True:
        tried(name, failure, place, False, right)
        if not tried(name, failure, place, True, right):
            return place
        place += 1


def main(failure: Failure, names: list[str]) -> None:
    """Try calls by their names."""
    places = wrong = 0
    gc.freeze()  # what is there now need not be looked through again and again
    for name in names:
        try:
            places += check(name, failure)
        except AssertionError as error:
            wrong += 1
            print(f"WRONG {error} {error.__cause__!r}", flush=True)
    print(f"{len(names)} calls, {places} places, {wrong} wrong")
    sys.exit(bool(wrong))
