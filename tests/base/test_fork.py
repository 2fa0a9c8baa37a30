"""Children of a process that has used the core's pool, and the end of one that uses it.

In processes of their own: a child that hangs or dies must not take the tests along, and since Python 3.12
a fork beside other threads warns.
"""

from __future__ import annotations

import sys

import pytest

from ..core_helpers import run_python
from ..forks import ENDED
from ..helpers import make, random

FORK = """
import os, sys, threading, time, warnings
import numpy as np
import lstmfast
warnings.simplefilter("ignore")
mode = sys.argv[1]
lstmfast.set_num_threads(3)
lstmfast._core.ignore_crowding(True)  # threads are counted
rows = lstmfast.LSTM(16, 48, seed=0)
panels = lstmfast.LSTM(70, 256, seed=0)
generator = np.random.default_rng(0)
inputs = [(rows, generator.standard_normal((12, 13, 16)).astype("f")),
          (panels, generator.standard_normal((20, 1, 70)).astype("f"))]

def compute():
    bits = []
    for model, x in inputs:
        y, _, tape = model.forward(x)
        grads = model.backward(tape, y)
        bits += [y.tobytes(), grads.x.tobytes(), grads.parameters["weight_hh_l0"].tobytes()]
    return bits

def child(depth):
    "Run in the child: the same bits, with a pool of its own, also in a child of the child."
    ok = all(compute() == expected for _ in range(3))
    ok = ok and len(os.listdir("/proc/self/task")) == 3 if sys.platform == "linux" else ok
    if ok and depth:
        ok = fork(depth - 1)
    os._exit(0 if ok else 3)

def fork(depth=1):
    pid = os.fork()
    if pid == 0:
        try:
            child(depth)
        finally:
            os._exit(4)
    return ended(pid, 30)

if mode == "before":  # the parent has never made a pool; the child makes the first
    lstmfast.set_num_threads(1)
    expected = compute()
    lstmfast.set_num_threads(3)
    assert fork()
    assert compute() == expected
elif mode == "after":
    expected = compute()
    for _ in range(5):
        assert compute() == expected
        assert fork()  # the pool's threads may spin still, or sleep
        assert compute() == expected
        time.sleep(0.01)
        assert fork()
elif mode == "during":  # other threads of Python hold the pool while this one forks
    expected = compute()
    stop, errors = threading.Event(), []
    def work():
        while not stop.is_set():
            if compute() != expected:
                errors.append("wrong")
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert all(fork(0) for _ in range(8))
    finally:
        stop.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert not errors
elif mode == "packing":  # another thread packs the weights for the first backward of all
    for tenths in range(1, 6):
        model, x = lstmfast.LSTM(8, 700, seed=0), np.ones((1, 1, 8), np.float32)
        y, _, tape = model.forward(x)
        thread = threading.Thread(target=model.backward, args=(tape, y))
        thread.start()
        time.sleep(tenths * 1e-3)
        pid = os.fork()
        if pid == 0:
            model.backward(tape, y)
            os._exit(0)
        assert ended(pid, 30)
        thread.join()
else:
    import multiprocessing
    expected = compute()
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        results = [pool.apply_async(compute) for _ in range(6)]
        assert compute() == expected
        assert all(result.get(30) == expected for result in results)
    assert compute() == expected
print("done")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.parametrize("mode", ["before", "after", "during", "packing", "multiprocessing"])
def test_fork(mode: str) -> None:
    assert run_python(ENDED + FORK, mode, timeout=300) == "done\n"


def test_a_child_of_spawn_computes_the_same() -> None:
    x = random((12, 13, 8))
    script = (
        "import sys, numpy as np, lstmfast\n"
        "lstmfast.set_num_threads(2)\n"
        "x = np.random.default_rng(0).standard_normal((12, 13, 8)).astype('f')\n"
        "print(lstmfast.LSTM(8, 24, seed=0)(x)[0].tobytes().hex())\n"
    )
    assert bytes.fromhex(run_python(script)) == make("lstm", 8, 24)(x)[0].tobytes()


def test_the_process_ends_while_a_thread_computes() -> None:
    """Daemon threads are killed where they are when the interpreter ends; the pool's end with the process."""
    script = (
        "import threading, time, numpy as np, lstmfast\n"
        "lstmfast.set_num_threads(3)\n"
        "model, x = lstmfast.LSTM(8, 24), np.zeros((50, 13, 8), 'f')\n"
        "def work():\n"
        "    while True:\n"
        "        model(x)\n"
        "for _ in range(3):\n"
        "    threading.Thread(target=work, daemon=True).start()\n"
        "time.sleep(0.2)\n"
        "print('done')\n"
    )
    for _ in range(3):
        assert run_python(script) == "done\n"
