"""Threads and streams: each its own, no waiting for another; two in one stream are a mistake that is told."""

from __future__ import annotations

import contextlib
import copy
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
import pytest

import lstmfast

from ..core_helpers import run_python
from ..helpers import assert_same_bits, make, random_x

BUSY = "another thread is using this object: it serves one at a time, give each its own"


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("core_threads", [1, 3])
@pytest.mark.parametrize(("hidden", "steps"), [(8, 2_000), (64, 500), (256, 60)])
def test_each_thread_with_its_own(hidden: int, steps: int, core_threads: int) -> None:
    lstmfast.set_num_threads(core_threads)
    model = make("lstm", 16, hidden)
    x = random_x(model, steps, 4)
    expected, _ = model(x)

    def work(row: int) -> Any:
        stream, y = model.stream(), np.empty((steps, hidden), np.float32)
        frames = np.ascontiguousarray(x[:, row])
        half = steps // 2
        for t in range(half):
            stream.step(frames[t], out=y[t])
        stream.run(frames[half:], out=y[half:])
        return y

    with ThreadPoolExecutor(4) as pool:
        for row, y in enumerate(pool.map(work, range(4))):
            assert_same_bits(y, expected[:, row].copy(), f"row {row}")


@pytest.mark.usefixtures("threads")
def test_each_thread_with_its_own_pool() -> None:
    lstmfast.set_num_threads(2)
    model = make("lstm", 64, 96)
    x = random_x(model, 40, 30)
    expected, _ = model(x)

    def work(first: int) -> Any:
        pool = model.stream_pool(10)
        ids = np.array([pool.open() for _ in range(10)])[::-1].copy()
        return np.stack([pool.step(ids, x[t, first : first + 10]) for t in range(40)])

    with ThreadPoolExecutor(3) as threads:
        for first, y in zip((0, 10, 20), threads.map(work, (0, 10, 20)), strict=True):
            assert_same_bits(y, expected[:, first : first + 10].copy())


Attempt: TypeAlias = tuple[Callable[[], Any], Callable[[], Any]]  # a thread's work, what comes meanwhile


def assert_refused_in_the_midst(attempt: Callable[[], Attempt]) -> None:
    """Try again and again, with new things each time, until `act` comes while a thread is at `work`."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        work, act = attempt()
        with ThreadPoolExecutor(2) as threads:
            running = threads.submit(work)
            time.sleep(2e-4)
            refused = threads.submit(act).exception()
            failed = running.exception()  # where `act` was first
        if refused is not None:
            assert failed is None
            assert (type(refused), str(refused)) == (RuntimeError, BUSY)
            return
    raise AssertionError("the two never met")


ACTS: dict[str, Callable[[Any, Any], Any]] = {
    "step": lambda stream, x: stream.step(x[0]),
    "step in Python": lambda stream, x: stream.step(x[0].tolist()),
    "run": lambda stream, x: stream.run(x[:1]),
    "state": lambda stream, x: stream.state,
    "set": lambda stream, x: setattr(stream, "state", None),
    "reset": lambda stream, x: stream.reset(),
    "reset row": lambda stream, x: stream.reset(0),
    "snapshot": lambda stream, x: stream.snapshot(),
    "restore": lambda stream, x: stream.restore(stream.model.stream().snapshot()),
    "copy": lambda stream, x: copy.copy(stream),
}


@pytest.mark.parametrize("name", ACTS)
def test_two_threads_in_one_stream(name: str) -> None:
    model = make("lstm", 64, 256)
    x = random_x(model, 100, 1)
    expected = model(x)
    kept: list[Any] = []

    def attempt() -> Attempt:
        kept[:] = [model.stream()]
        return lambda: kept.append(kept[0].run(x)), lambda: ACTS[name](kept[0], x)

    assert_refused_in_the_midst(attempt)
    stream, y = kept
    assert_same_bits((y, stream.state), expected)  # nothing has come between
    stream.reset()
    assert_same_bits(stream.run(x), expected[0])  # and it serves again


@pytest.mark.parametrize(
    "act",
    [
        lambda pool, ids, x: pool.step(ids[:1], x[:1]),
        lambda pool, ids, x: pool.open(),
        lambda pool, ids, x: pool.close(ids),
        lambda pool, ids, x: pool.grow(1_000),
        lambda pool, ids, x: pool.state(ids),
        lambda pool, ids, x: pool.reset(ids),
        lambda pool, ids, x: pool.ids,
    ],
    ids=["step", "open", "close", "grow", "state", "reset", "ids"],
)
def test_two_threads_in_one_pool(act: Callable[[Any, Any, Any], Any]) -> None:
    model = make("lstm", 128, 256)
    x = random_x(model, 1, 200)[0]
    pools: list[Any] = []

    def attempt() -> Attempt:
        pool = model.stream_pool(300)
        pools[:] = [pool]
        ids = np.array([pool.open() for _ in range(200)])
        return lambda: pool.step(ids, x), lambda: act(pool, ids, x)

    assert_refused_in_the_midst(attempt)
    assert (len(pools[0]), pools[0].capacity) == (200, 300)
    _, end = model(x[np.newaxis])
    assert_same_bits(pools[0].state(np.arange(200)), end)


# Without one: test_sharing.py in tests/base.
@pytest.mark.skipif(bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="this Python has no GIL")
@pytest.mark.parametrize(("I", "hidden"), [(8, 8), (64, 48)])
def test_a_short_step_keeps_the_gil(I: int, hidden: int) -> None:
    """So nobody else gets to run while a thread is in the stream, and nobody is ever refused."""
    model, x = make("lstm", I, hidden), np.ones(I, np.float32)
    stream, before = model.stream(), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(lambda _: [stream.step(x) for _ in range(1_000)], range(3)))
    finally:
        sys.setswitchinterval(before)
    assert_same_bits(stream.state, model(np.ones((3_000, 1, I), np.float32))[1])


FORK = """
import os, threading, time
import numpy as np, lstmfast
model = lstmfast.LSTM(64, 512, seed=0)
stream, x = model.stream(), np.ones((400, 64), np.float32)
stop, met = False, 0

def run():
    while not stop:
        stream.run(x)

thread = threading.Thread(target=run)
thread.start()
expected, _ = model(x)
for attempt in range(200):
    time.sleep(1e-3)
    child = os.fork()
    if child == 0:
        # The thread that was in the stream is not here: the stream must be free.
        try:
            stream.reset()
            os._exit(0 if np.array_equal(stream.run(x[:20]), expected[:20]) else 1)
        except BaseException as error:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    if status != 0:
        print("child", status)
        break
    try:
        stream.reset(0)
    except RuntimeError:
        met += 1
        if met == 3:
            break
stop = True
thread.join()
print("met" if met else "never met")
"""


def test_a_fork_leaves_no_stream_taken() -> None:
    assert run_python(FORK, LSTMFAST_NUM_THREADS="1").split() == ["met"]


def test_a_reset_to_a_state_takes_nothing_of_other_rows_back() -> None:
    """Some rows are set while another thread steps all: no step of the others is undone."""
    model = lstmfast.RNN(1, 1, bias=False, activations=(("Affine", 1.0, 0.0),), dtype="float64")
    model.update({"weight_ih_l0": [[1.0]], "weight_hh_l0": [[1.0]]})  # h' = h + x: a state counts steps
    stream, pool = model.stream(2), model.stream_pool(1000)
    first = pool.open()
    done = threading.Event()

    def resets() -> None:
        while not done.is_set():
            for call in (lambda: stream.reset([1], to=np.zeros((1, 1))), lambda: pool.open(np.ones((1, 1)))):
                with contextlib.suppress(RuntimeError):  # right, where the other thread is at work
                    id = call()
                    if id is not None:
                        opened.append(id)

    opened: list[int] = []
    counted = 0
    interval = sys.getswitchinterval()
    other = threading.Thread(target=resets)
    try:
        sys.setswitchinterval(1e-5)
        other.start()
        for _ in range(20_000):
            with contextlib.suppress(RuntimeError):
                stream.step(np.ones((2, 1)))
                counted += 1
            with contextlib.suppress(RuntimeError):
                pool.step([first], np.ones((1, 1)))
    finally:
        done.set()
        other.join()
        sys.setswitchinterval(interval)
    assert stream.state[0, 0, 0] == counted
    assert len(pool) == 1 + len(opened)  # what could not be opened whole is not open
