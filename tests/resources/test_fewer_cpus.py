"""A set of CPUs that shrinks and grows in the midst of calls: no hang, no crawl, the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..core_helpers import users_environment

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif("not hasattr(__import__('os'), 'sched_setaffinity')", reason="CPUs cannot be chosen"),
    pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two CPUs are needed"),
]

# Calls of all kinds for as long as lines come in, and of each line says how many were made.
WORK = """
import sys, time
import numpy as np
import lstmfast

model = lstmfast.LSTM(128, 256, num_layers=2, seed=0)
x = np.random.default_rng(0).standard_normal((40, 16, 128)).astype(np.float32)
pool = model.stream_pool(16)
ids = np.array([pool.open() for _ in range(16)])

def results():
    y, state, tape = model.forward(x)
    gradients = model.backward(tape, y)
    pool.reset(ids)
    alone = model(x[:, :1])[0]
    steps = [pool.step(ids, frame) for frame in x[:5]]
    arrays = [y, *state, alone, gradients.x, *steps, *gradients.parameters.values()]
    return b"".join(a.tobytes() for a in arrays)

lstmfast.set_num_threads(1)
right = results()
print("ready", flush=True)
for line in sys.stdin:
    threads, seconds = line.split()
    lstmfast.set_num_threads(int(threads))
    count, wrong, end = 0, 0, time.perf_counter() + float(seconds)
    while time.perf_counter() < end:
        wrong += results() != right
        count += 1
    print(count, wrong, flush=True)
"""


class Worker:
    """The script above, whose threads can be sent to other CPUs."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORK],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=users_environment(),
        )
        assert self._said() == "ready"

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def send_to(self, cpus: set[int]) -> None:
        """Send all threads there."""
        for task in os.listdir(f"/proc/{self._process.pid}/task"):
            os.sched_setaffinity(int(task), cpus)

    def begin(self, threads: int, seconds: float) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{threads} {seconds}\n")
        self._process.stdin.flush()

    def calls(self) -> int:
        """How many calls were made since `begin`, all with the right bits."""
        count, wrong = self._said().split()
        assert wrong == "0"
        return int(count)


def test_to_one_cpu_and_back_in_the_midst_of_calls() -> None:
    cpus = sorted(os.sched_getaffinity(0))
    with Worker() as worker:
        worker.begin(threads=len(cpus), seconds=2)
        end = time.monotonic() + 1.5
        turns = 0
        while time.monotonic() < end:
            worker.send_to({cpus[turns % len(cpus)]})
            time.sleep(0.004)
            worker.send_to(set(cpus))
            time.sleep(0.004)
            turns += 1
        assert worker.calls() > 0
        assert turns > 5


def test_on_one_cpu_several_threads_do_not_crawl() -> None:
    """They give way to their caller (crowding.h); spinning for one another they would do next to nothing."""
    with Worker() as worker:
        worker.begin(threads=2, seconds=0.2)  # so that there are two
        worker.calls()
        worker.send_to({min(os.sched_getaffinity(0))})

        def calls_of(threads: int) -> int:
            worker.begin(threads, 0.7)
            return worker.calls()

        assert any(calls_of(2) > 0.4 * calls_of(1) for _ in range(3))


def test_the_process_has_those_threads() -> None:
    """Or the tests above would send nobody anywhere."""
    with Worker() as worker:
        worker.begin(threads=2, seconds=0.2)
        worker.calls()
        tasks = Path(f"/proc/{worker._process.pid}/task")
        assert len(os.listdir(tasks)) >= 2
