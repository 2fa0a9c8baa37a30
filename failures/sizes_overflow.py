"""Sizes whose product is more than an integer holds.

Where: MIOpen, in which the number of elements of a batch was 32 bits
(https://github.com/pytorch/pytorch/pull/191924 tells of it); PyTorch's `torch.lstm`
(https://github.com/pytorch/pytorch/issues/94668). None of it is run here.
What comes of it: a batch that is a little larger than the one before, and an error that explains nothing.
Here: sizes are multiplied with room and looked at first: what cannot be is a ValueError or a MemoryError at
once, of which the message names the argument, and no memory is taken.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable

import numpy as np

import lstmfast

HUGE = (2**31, 2**32 + 1, 2**40, 2**62, 2**63, 10**30)


def refused(what: str, call: Callable[[], object]) -> None:
    try:
        call()
    except (ValueError, MemoryError) as error:
        if not str(error):
            sys.exit(f"lstmfast: {what}: the {type(error).__name__} says nothing")
    else:
        sys.exit(f"lstmfast: {what}: taken, which cannot be")


def main() -> None:
    layer = lstmfast.LSTM(3, 4, seed=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for n in HUGE:
        for kind in (lstmfast.LSTM, lstmfast.GRU, lstmfast.RNN):
            refused(f"{kind.__name__}({n}, 4)", lambda n=n, kind=kind: kind(n, 4))
            refused(f"{kind.__name__}(3, {n})", lambda n=n, kind=kind: kind(3, n))
            refused(f"num_layers={n}", lambda n=n, kind=kind: kind(3, 4, num_layers=n))
        refused(f"stream({n})", lambda n=n: layer.stream(n))
        refused(f"stream_pool({n})", lambda n=n: layer.stream_pool(n))
        refused(f"set_num_threads({n})", lambda n=n: lstmfast.set_num_threads(n))
    for shape in ((2**40, 1, 3), (1, 2**40, 3), (2**31, 2**20, 3), (2**59, 1, 3)):
        x = np.broadcast_to(np.float32(1), shape)  # of four bytes
        refused(f"x of shape {shape}", lambda x=x: layer(x))
        refused(f"forward with x of shape {shape}", lambda x=x: layer.forward(x))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / (
        2**20 if sys.platform == "darwin" else 2**10
    )
    if grown > 64:
        sys.exit(f"lstmfast: sizes that cannot be took {grown:.0f} MiB before they were refused")
    print("lstmfast: sizes that cannot be are refused, and take nothing")


if __name__ == "__main__":
    main()
