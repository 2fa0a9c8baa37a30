"""Threads: XLA's, no more than were asked for; the same bits with any number of them; and none that waits."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from subprocess import run as run_process
from typing import Any

import pytest

import lstmfast

from ..helpers import random
from ..together import together

jax = pytest.importorskip("jax")

import lstmfast.jax  # noqa: E402

from .helpers import close, loss_of, params_of  # noqa: E402

pytestmark = pytest.mark.alone

MODEL = lstmfast.LSTM(64, 64, seed=0)  # enough to do for several threads
X = random((100, 32, 64))
GRADIENT = jax.jit(jax.grad(loss_of(lstmfast.jax.lstm)))


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = lstmfast.get_num_threads()
    yield
    lstmfast.set_num_threads(before)


def test_the_same_bits_with_any_number() -> None:
    params = params_of(MODEL)
    found = []
    for threads in (1, 2, 3, 8):
        lstmfast.set_num_threads(threads)
        found += [GRADIENT(params, X) for _ in range(3)]
    for each in found[1:]:
        close(each, found[0], 0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts in /proc")
def test_no_threads_of_our_own() -> None:
    """XLA's are used, whether or not there is a pool of ours."""
    code = """
import os, jax, jax.numpy as jnp

def threads():
    return len(os.listdir("/proc/self/task"))

jax.block_until_ready(jax.jit(lambda x: x @ x)(jnp.ones((600, 600))))
import lstmfast, lstmfast.jax
lstmfast.set_num_threads(4)
params = {name: jnp.asarray(w) for name, w in lstmfast.LSTM(64, 64, seed=0).state_dict().items()}
run = jax.jit(lambda x: lstmfast.jax.lstm(x, params)[0])
x = jnp.ones((100, 32, 64))
compiled = run.lower(x).compile()
jax.block_until_ready(compiled(x))
count = threads()
for _ in range(20):
    jax.block_until_ready(compiled(x))
assert threads() == count, (threads(), count)
"""
    found = run_process([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr


def cpus_of(work: Any) -> float:
    """How many CPUs this process has kept busy while `work` ran."""
    wall, cpu = time.monotonic(), time.process_time()
    work()
    return (time.process_time() - cpu) / (time.monotonic() - wall)


def test_no_more_than_were_asked_for() -> None:
    params = params_of(MODEL)

    def work() -> None:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            jax.block_until_ready(GRADIENT(params, X))

    work()
    lstmfast.set_num_threads(1)
    assert cpus_of(work) < 1.3
    lstmfast.set_num_threads(2)
    assert cpus_of(work) < 2.3


def test_more_calls_than_threads_end() -> None:
    """Calls that hold all of XLA's threads do not wait for one another's guests."""
    lstmfast.set_num_threads(4)
    params = params_of(MODEL)
    expected = GRADIENT(params, X)

    def several(params: Any) -> Any:
        loss = loss_of(lstmfast.jax.lstm)
        return [jax.grad(loss)(params, X) for _ in range(6)]

    compiled = jax.jit(several)

    def job() -> None:
        for _ in range(3):
            for each in compiled(params):
                close(each, expected, 0)

    together([job] * 4)
