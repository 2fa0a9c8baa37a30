"""A child of a fork that waits for threads, or for a lock, of its parent.

Where: OpenBLAS (https://github.com/OpenMathLib/OpenBLAS/issues/240), PyTorch with GNU's OpenMP
(https://github.com/pytorch/pytorch/issues/17199), its R package with an LSTM
(https://github.com/mlverse/torch/issues/971): a fork copies memory, locks that are held included, and one
thread. Children once hung; so none of it is run here.
What comes of it: loaders of data, servers that fork and `multiprocessing` that stand still, now and then.
Here: the team of threads is made anew in a child, and nothing in the core holds a lock that a fork could
lose: also not while other threads are in the midst of calls.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings

import numpy as np

import lstmfast

FORKS = 300 if "--long" in sys.argv[1:] else 10


def ended(child: int, seconds: float) -> bool:
    """Whether a child ends in time, and well."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.002)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False


def main() -> None:
    warnings.simplefilter(
        "ignore", DeprecationWarning
    )  # Python 3.12 warns of forks beside threads: they are the subject
    lstmfast.set_num_threads(2)
    layer = lstmfast.LSTM(64, 128, seed=0)
    x = np.random.default_rng(0).standard_normal((20, 16, 64)).astype(np.float32)

    def results() -> list[bytes]:
        y, _, tape = layer.forward(x)
        grads = layer.backward(tape, y)
        return [y.tobytes(), grads.x.tobytes(), grads.parameters["weight_hh_l0"].tobytes()]

    expected, stop = results(), threading.Event()

    def work() -> None:
        while not stop.is_set():
            results()

    others = [threading.Thread(target=work) for _ in range(2)]
    for other in others:
        other.start()
    try:
        for n in range(FORKS):
            time.sleep(0.001 * (n % 5))
            child = os.fork()
            if child == 0:
                os._exit(0 if results() == expected else 1)
            if not ended(child, 60):
                sys.exit("lstmfast: a child of a fork hung, or had other results than its parent")
    finally:
        stop.set()
        for other in others:
            other.join()
    if results() != expected:
        sys.exit("lstmfast: the parent has other results after its forks")
    print(f"lstmfast: {FORKS} children, forked beside threads at work, computed what their parent does")


if __name__ == "__main__":
    main()
