"""A child that is forked while another thread changes weights: whole weights, and they can be changed."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys, threading, time, warnings
import numpy as np
import lstmfast
warnings.simplefilter("ignore")  # of forks beside threads
model = lstmfast.RNN(512, 512, bias=False)
kinds = [{name: np.full_like(w, n / 1e3) for name, w in model.parameters.items()} for n in (0, 1)]
x = np.ones((1, 1, 512), np.float32)
results = []
for kind in kinds:
    model.update(kind)
    results.append(model(x)[0].tobytes())
stop = threading.Event()

def work():
    while not stop.is_set():
        for kind in kinds:
            model.update(kind)

thread = threading.Thread(target=work)
thread.start()
codes = []
for _ in range(30):
    time.sleep(0.001)
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)  # ends a child that waits for a thread that it does not have
        n = int(model.parameters["weight_ih_l0"][0, 0] > 0)
        whole = model(x)[0].tobytes() == results[n]
        model.update(kinds[1 - n])
        changed = model(x)[0].tobytes() == results[1 - n]
        os._exit(0 if whole and changed else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    if codes[-1]:
        break
stop.set()
thread.join()
print(*sorted(set(codes)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_fork_while_weights_change() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
