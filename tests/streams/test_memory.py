"""Streams take no memory as they go: a million steps leave nothing behind, a step makes but small objects.

What the core takes is counted in tests/core/test_stream_memory.cpp; here is Python's side.
"""

from __future__ import annotations

import gc
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..core_helpers import run_python
from ..helpers import make, random
from ..traced import python_memory

pytestmark = pytest.mark.alone  # a process of pytest-xdist has a thread that takes memory of its own

MILLION = 1_000_000


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def stays_below(most: int, call: Callable[[], Any], times: int) -> bool:
    """Whether calls make resident memory grow by less than that: in one of three attempts.

    What leaks does so in each. But the system may have taken pages away that the process touches again, and
    counts them by processor, some dozens late.
    """
    gc.collect()
    for _ in range(3):
        before = resident_bytes()
        for _ in itertools.repeat(None, times):
            call()
        if resident_bytes() - before < most:
            return True
    return False


def step_of(model: Any) -> Callable[[], Any]:
    stream, x = model.stream(), random((model.input_size,))
    y = stream.step(x)
    return lambda: stream.step(x, out=y)


def pool_step_of(model: Any) -> Callable[[], Any]:
    pool, x = model.stream_pool(30), random((20, model.input_size))
    ids = np.array([pool.open() for _ in range(30)])[5:25]
    y = pool.step(ids, x)
    return lambda: pool.step(ids, x, out=y)


def run_of(model: Any) -> Callable[[], Any]:
    stream, x = model.stream(), random((32, model.input_size))
    y = stream.run(x)
    return lambda: stream.run(x, out=y)


WORKS = {"step": step_of, "pool": pool_step_of, "run": run_of}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_million_steps_leave_nothing_behind() -> None:
    step = step_of(make("lstm", 3, 8, num_layers=2))
    for _ in itertools.repeat(None, 20_000):
        step()
    assert stays_below(256 * 1024, step, MILLION)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_streams_that_come_and_go_leave_nothing_behind() -> None:
    model = make("lstm", 3, 40)
    pool, x = model.stream_pool(16), random((1, 3))

    def visit() -> None:
        id = pool.open()
        pool.step([id], x)
        pool.close(id)
        stream = model.stream()
        stream.restore(stream.snapshot())

    for _ in range(2_000):
        visit()
    assert stays_below(512 * 1024, visit, 20_000)
    assert len(pool) == 0


@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("hidden", [8, 96])  # with the GIL held, and without it
def test_python_takes_nothing_that_stays(work: str, hidden: int) -> None:
    call = WORKS[work](make("lstm", 3, hidden))
    for _ in range(100):
        call()

    def run() -> None:
        for _ in itertools.repeat(None, 2_000):
            call()

    gc.collect()
    kept, most = python_memory(run)
    assert kept <= 64
    assert most < 512  # a tuple or an integer of the call's own, and no array


@pytest.mark.parametrize("work", WORKS)
def test_an_array_would_have_shown(work: str) -> None:
    """As above, but with a new array for each result."""
    model = make("lstm", 3, 400)
    stream, pool = model.stream(), model.stream_pool(1)
    ids = np.array([pool.open()])
    x = random((1, 3))
    calls: dict[str, Callable[[], Any]] = {
        "step": lambda: stream.step(x),
        "run": lambda: stream.run(x),
        "pool": lambda: pool.step(ids, x),
    }
    call = calls[work]
    call()
    assert python_memory(call)[1] >= 400 * 4


def test_ten_thousand_streams_cost_little_but_their_states() -> None:
    model = lstmfast.LSTM(64, 128, seed=0)
    pool = model.stream_pool(10_000)
    assert 10_000 * 2 * 128 * 4 <= pool.nbytes <= 10_000 * 1_200
    many = lstmfast.LSTM(64, 128, num_layers=3, seed=0).stream_pool(10_000)
    assert 3 * 10_000 * 2 * 128 * 4 <= many.nbytes <= 3 * 10_000 * 1_200


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_pool_takes_what_it_says_when_all_are_open() -> None:
    model = lstmfast.LSTM(8, 128, seed=0)
    model.stream_pool(4)
    gc.collect()
    before = resident_bytes()
    pool = model.stream_pool(10_000)
    for _ in range(10_000):
        pool.open()
    assert resident_bytes() - before < 10_000 * 1_200
    assert pool.nbytes < 10_000 * 1_200


GROW = """
import resource
import lstmfast

pool = lstmfast.LSTM(1, 1, seed=0).stream_pool(1_000)
ids = [pool.open() for _ in range(1_000)]
state, nbytes = pool.state(ids), pool.nbytes
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20),) * 2)
try:
    pool.grow(2**24)
except MemoryError:
    same = all((a == b).all() for a, b in zip(pool.state(ids), state))
    print(pool.capacity, pool.nbytes == nbytes, same)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits its own memory")
def test_growth_that_cannot_be_had_changes_nothing() -> None:
    assert run_python(GROW).split() == ["1000", "True", "True"]
