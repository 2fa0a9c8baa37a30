"""Memory that grows with every shape that is seen.

Where: PyTorch on CPUs with MKL-DNN, now oneDNN (https://github.com/pytorch/pytorch/issues/27971 and 29893, of
convolutions): what was prepared for a shape was kept, for every shape. Bounded since, by a cache of a number
of shapes rather than of bytes.
What comes of it: a server for texts or recordings of any length that takes gigabytes more in a day, and is
killed.
Here: nothing is kept by shape. Blocks of memory are kept for the next call, 256 MiB of them at most and as a
rule much less.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import lstmfast

CALLS = 4000 if "--long" in sys.argv[1:] else 150
I, H = 8, 24


def resident() -> int:
    """Bytes of memory that this process has."""
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])


def growths(call: Callable[[int, int], object]) -> list[float]:
    """MiB by which memory grows in each of six rounds of calls with other shapes, after two rounds."""
    rng = np.random.default_rng(0)
    grown = []
    for _ in range(8):
        before = resident()
        for _ in range(CALLS):
            call(int(rng.integers(1, 100)), int(rng.integers(1, 30)))
        grown.append((resident() - before) / 2**20)
    return grown[2:]


def work(T: int, B: int) -> None:
    layer = lstmfast.LSTM(I, H, seed=0)
    x = np.ones((T, B, I), np.float32)
    layer(x, lengths=np.arange(B) % (T + 1))
    y, _, tape = layer.forward(x)
    layer.backward(tape, y)
    layer.stream(B).run(x)


def main() -> None:
    if not sys.platform.startswith("linux"):
        print("not run: this program reads /proc, which Linux has")
        return
    grown = growths(work)
    print(
        f"lstmfast: {CALLS} shapes more and more, forward and backward, take",
        *(f"{mib:.1f}" for mib in grown),
        "MiB",
    )
    if min(grown) > 1:  # what leaks does so in every round
        sys.exit(f"lstmfast: every {CALLS} shapes take {min(grown):.1f} MiB more")


def pytorch() -> None:
    import torch

    lstm = torch.nn.LSTM(I, H)
    with torch.inference_mode():
        grown = growths(lambda T, B: lstm(torch.ones(T, B, I)))
    print(f"PyTorch {torch.__version__}: in inference they take", *(f"{mib:.1f}" for mib in grown), "MiB")


if __name__ == "__main__":
    main()
    try:
        pytorch()
    except Exception as error:  # whatever it does: this is about lstmfast
        print("PyTorch:", error)
