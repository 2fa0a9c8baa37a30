"""Memory and threads that stay behind for every thread that called and ended.

Where: PyTorch 1.5.1 to 1.7 on Linux (https://github.com/pytorch/pytorch/issues/41486, of LSTMs), whose OpenMP
made a team for each calling thread; ONNX Runtime 1.8 with its DNNL provider
(https://github.com/microsoft/onnxruntime/issues/8245).
What comes of it: a server that has a thread for each request takes some megabytes more with each.
Here: there is one team for the process, and nothing is kept for a thread that calls.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import lstmfast

THREADS = 5000 if "--long" in sys.argv[1:] else 150
SIZE = 64


def resident() -> int:
    """Bytes of memory that this process has."""
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])


def growths(call: Callable[[], object]) -> list[float]:
    """MiB by which memory grows in each of four rounds of threads that call once, after two rounds."""
    grown = []
    for _ in range(6):
        before = resident()
        for _ in range(THREADS // 3):
            threads = [threading.Thread(target=call) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        grown.append((resident() - before) / 2**20)
    return grown[2:]


def main() -> None:
    if not sys.platform.startswith("linux"):
        print("not run: this program reads /proc, which Linux has")
        return
    before = len(os.listdir("/proc/self/task"))  # NumPy has some
    lstmfast.set_num_threads(2)
    layer = lstmfast.LSTM(SIZE, SIZE, seed=0)
    x = np.ones((10, 8, SIZE), np.float32)

    def work() -> None:
        y, _, tape = layer.forward(x)
        layer.backward(tape, y)
        layer.stream().step(x[0, 0])

    grown = growths(work)
    deadline = time.monotonic() + 20
    while (more := len(os.listdir("/proc/self/task")) - before) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)  # the system may be late with taking those away that have ended
    print(f"lstmfast: {THREADS} threads more and more take", *(f"{mib:.1f}" for mib in grown), "MiB")
    if min(grown) > 0.5:  # what leaks does so in every round
        sys.exit(f"lstmfast: every {THREADS} threads take {min(grown):.1f} MiB more")
    if more > 1:  # the team's other one
        sys.exit(f"lstmfast: {more} threads are left, of which 1 is wanted")


def pytorch() -> None:
    import torch

    torch.set_num_threads(2)
    lstm, x = torch.nn.LSTM(SIZE, SIZE), torch.ones(10, 8, SIZE)
    grown = growths(lambda: lstm(x))
    print(f"PyTorch {torch.__version__}: forward alone", *(f"{mib:.1f}" for mib in grown), "MiB")


if __name__ == "__main__":
    main()
    try:
        pytorch()
    except Exception as error:  # whatever it does: this is about lstmfast
        print("PyTorch:", error)
