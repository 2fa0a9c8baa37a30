"""Children, and theirs, go on with models, streams and pools of their parents, however they are begun."""

from __future__ import annotations

import multiprocessing
import sys

import pytest

from ..core_helpers import run_module, run_python
from ..forks import ENDED


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_they_go_on(method: str) -> None:
    """By pickle or by fork, while another thread of the parent uses the model: the same bits."""
    assert run_module("tests.processes.children", method) == "True True\nTrue\n"


FORK = """
import os, signal, threading, time, warnings
import numpy as np
import lstmfast
warnings.simplefilter("ignore")
model = lstmfast.LSTM(64, 256, seed=0)
pool = model.stream_pool(64)
ids = np.array([pool.open() for _ in range(64)])
x = np.ones((64, 64), "f")
expected = model(x[None])[0][0, 0]  # of a row that begins from zero
stop = False

def work():
    while not stop:
        pool.step(ids, x)

thread = threading.Thread(target=work, daemon=True)
thread.start()
met = 0
for attempt in range(200):
    time.sleep(1e-3)
    pid = os.fork()
    if pid == 0:
        # The thread that was in the pool is not here: the pool is nobody's, what is set anew is as ever.
        pool.set_state(ids[:32], None)
        pool.close(ids[60:])
        more = [pool.open() for _ in range(4)]
        y = pool.step(np.r_[ids[:32], more], x[:36])
        os._exit(0 if (y == y[0]).all() and (y[0] == expected).all() else 1)
    assert ended(pid, 60)
    try:
        pool.state(ids[:1])
    except RuntimeError:  # it is just being stepped
        met += 1
        if met == 3:
            break
stop = True
thread.join()
print("met" if met else "never met")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_fork_leaves_no_pool_taken() -> None:
    assert run_python(ENDED + FORK, LSTMFAST_NUM_THREADS="1") == "met\n"
