"""Inference whose memory grows with the length of the sequence.

Where: engines that make the gates' input products of all steps at once, [T, B, 4H], or keep every layer's
outputs; PyTorch's LSTM of several layers, for one (https://github.com/pytorch/pytorch/issues/3931).
What comes of it: hours of audio that do not fit, though one layer's state is a kilobyte.
Here: what lies between steps and layers is of a chunk of steps, so that beside x and y, which are the
caller's, memory does not grow with T. (With lengths it is 8 bytes a step; in both directions at once y's size
is needed once more.)
"""

from __future__ import annotations

import resource
import sys

import numpy as np

import lstmfast

T = 1_000_000 if "--long" in sys.argv[1:] else 60_000
I, H, LAYERS = 8, 64, 3
GATES = T * 4 * H * 4 / 2**20  # MiB of one layer


def forget_peak() -> None:
    """What this process had before is no matter, where the system can forget it."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:  # then the peak is that of the whole process
        return


def peak() -> float:
    """The most memory that this process has had, in MiB."""
    if sys.platform == "linux":
        with open("/proc/self/status") as file:
            return int(file.read().split("VmHWM:")[1].split()[0]) / 2**10
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10


def main() -> None:
    layer = lstmfast.LSTM(I, H, num_layers=LAYERS, seed=0)
    stream = layer.stream()
    x, y = np.ones((T, 1, I), np.float32), np.ones((T, 1, H), np.float32)
    out = y, tuple(np.zeros((LAYERS, 1, H), np.float32) for _ in range(2))
    works = {
        "a call": lambda n: layer(x[:n], out=(y[:n], out[1])),
        "a call with lengths": lambda n: layer(x[:n], lengths=[n - 1], out=(y[:n], out[1])),
        "a stream": lambda n: stream.run(x[:n], out=y[:n]),
    }
    for what, work in works.items():
        work(1000)
        forget_peak()
        before = peak()
        work(T)
        grown = peak() - before
        print(
            f"lstmfast: {T} steps by {what} take {grown:.1f} MiB more than 1000; their gates have {GATES:.0f}"
        )
        if grown > 2 + 16 * T / 2**20:  # which is nothing beside the gates
            sys.exit(f"lstmfast: {T} steps by {what} take {grown:.1f} MiB more than 1000 steps")


def pytorch() -> None:
    import torch

    lstm, x = torch.nn.LSTM(I, H, LAYERS), torch.ones(T, 1, I)
    forget_peak()
    before = peak()
    with torch.inference_mode():
        lstm(x)
    grown = peak() - before
    print(f"PyTorch {torch.__version__}: {T} steps take {grown:.0f} MiB more, y's {GATES / 4:.0f} among them")


if __name__ == "__main__":
    main()
    try:
        pytorch()
    except Exception as error:  # whatever it does: this is about lstmfast
        print("PyTorch:", error)
