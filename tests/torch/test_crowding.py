"""Processes that want the same CPUs, with two threads each: together they do about what one each does.

Not run by default (`pytest -m speed`). Before calls gave way to their caller's thread in a crowd
(`cpp/core/crowding.h`), it was 0.12 to 0.27 of that.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ..core_helpers import users_environment

pytest.importorskip("torch")

pytestmark = [
    pytest.mark.speed,
    pytest.mark.alone,
    pytest.mark.skipif("not hasattr(__import__('os'), 'sched_setaffinity')", reason="CPUs cannot be chosen"),
]

LEAST = 0.6  # 0.9 to 1.2 were measured; somebody else may be at work

WORK = """
import os, sys, time
work, threads = sys.argv[1], int(sys.argv[2])
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
import torch, lstmfast, lstmfast.torch
torch.set_num_threads(threads)
lstmfast.set_num_threads(threads)
torch.manual_seed(0)
module, x = lstmfast.torch.LSTM(64, 64), torch.randn(100, 16, 64)
plain = lstmfast.LSTM.from_torch(module)
dy, weights = torch.ones(100, 16, 64), list(module.parameters())

def infer():
    with torch.inference_mode():
        module(x)

calls = {"infer": infer, "plain": lambda: plain(x.numpy()),
         "train": lambda: torch.autograd.grad(module(x)[0], weights, dy)}
call = calls[work]
call()
print("ready", flush=True)
sys.stdin.readline()
count, end = 0, time.perf_counter() + 2
while time.perf_counter() < end:
    call()
    count += 1
print(count)
"""


def calls_of(processes: int, work: str, threads: int) -> int:
    """How many calls processes do together in two seconds, on the same two CPUs."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WORK, work, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=users_environment(),
        )
        for _ in range(processes)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return sum(int(process.communicate(timeout=120)[0]) for process in running)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two CPUs are needed")
@pytest.mark.parametrize("work", ["infer", "train", "plain"])
def test_two_threads_each_do_what_one_does(work: str) -> None:
    assert any(calls_of(2, work, 2) > LEAST * calls_of(2, work, 1) for _ in range(3))
