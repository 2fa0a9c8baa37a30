"""Steps without end, memory looked at on the way, and the verdict: it may not grow once things are warm."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lstmfast import _core

from . import memory
from .memory import Memory

# A visit makes some steps, leaves nothing behind, and says how many they were.
Visit = Callable[[], int]

SAMPLES = 96
WARM_UP = 4  # the first of so many parts of the samples: caches fill, the allocator learns sizes

# By how much what is there at the end may be more than what was there when warm.
MOST_GROWTH = Memory(resident=4 << 20, heap=192 << 10, kept=256 << 20, objects=200, tracked=100)


class Sample(NamedTuple):
    steps: int
    seconds: float
    memory: Memory


def soak(
    visit: Visit, steps: int, tell: Callable[[Sample], None] = lambda _: None, samples: int = SAMPLES
) -> list[Sample]:
    """Visit until so many steps are made; memory before all, and so many times on the way."""
    begun, done = time.monotonic(), 0
    table = np.zeros(
        (1 + samples, 2 + len(Memory._fields))
    )  # taken before, so that samples are not found to grow
    for part, row in enumerate(table):
        while done < steps * part // samples:
            done += visit()
        if part in (samples // WARM_UP, samples):
            _core.give_back_memory()
        row[:] = done, time.monotonic() - begun, *memory.now()
        tell(_sample(row))
    return [_sample(row) for row in table]


def _sample(row: NDArray[np.float64]) -> Sample:
    return Sample(int(row[0]), float(row[1]), Memory(*map(int, row[2:])))


def growth(samples: list[Sample]) -> Memory:
    """How much more there is at the end than when things were warm.

    Shapes are drawn by chance, so a sample may have come upon large ones, which fill caches. Compared is the
    least of the last third with the most of the third after the warm-up: what leaks is beyond it in each.
    """
    begin = (len(samples) - 1) // WARM_UP
    third = (len(samples) - begin) // 3
    warm, last = samples[begin : begin + third], samples[-third:]
    pairs = zip(zip(*_memories(last), strict=True), zip(*_memories(warm), strict=True), strict=True)
    found = Memory(*(min(now) - max(before) for now, before in pairs))
    return found._replace(resident=_used(last[-1].memory) - _used(warm[0].memory))


def _used(given_back: Memory) -> int:
    """What is resident and not kept, just after malloc has given back what it had free."""
    return given_back.resident - given_back.kept


def _memories(samples: Iterable[Sample]) -> list[Memory]:
    return [sample.memory for sample in samples]


def complaints(samples: list[Sample]) -> list[str]:
    """Say what has grown by more than it may, in words; nothing where all is well."""
    found = growth(samples)
    return [
        f"{name}: grew by {grown}, at most {most} allowed"
        for name, grown, most in zip(Memory._fields, found, MOST_GROWTH, strict=True)
        if grown > most
    ]
