"""A state that is carried on, and with it all that ever led to it.

Where: loops over chunks in PyTorch that pass the state on without `detach`: the graph of all chunks stays
alive, and the backward pass goes through all of them (https://github.com/pytorch/pytorch/issues/2198; an
experience buffer that kept graphs, https://github.com/Metta-AI/metta/pull/1139).
What comes of it: "a memory leak in LSTM", which grows with each batch.
Here: states of `lstmfast.LSTM` are arrays, which know nothing of how they were made: a tape goes with the
last reference to it. In `lstmfast.torch` a graph lives as long as in PyTorch: until the state is detached, or
a backward pass is done, and no longer.
"""

from __future__ import annotations

import gc
import sys
import weakref
from typing import Any

import numpy as np

import lstmfast

T, B, I, H = 10, 2, 3, 4
CHUNKS = 5000 if "--long" in sys.argv[1:] else 50


def main() -> None:
    layer = lstmfast.LSTM(I, H, seed=0)
    gc.disable()  # whatever is gone is gone by itself, and not because rings were looked for
    state, inputs = None, []
    for _ in range(CHUNKS):
        x = np.ones((T, B, I), np.float32)  # to which a tape refers
        y, state, tape = layer.forward(x, state)
        layer.backward(tape, y)
        inputs.append(weakref.ref(x))
        del x, tape, y
        if alive := sum(x() is not None for x in inputs):
            sys.exit(f"lstmfast: {alive} tapes are alive, though all that was kept is the state")
    stream = layer.stream()
    gone = weakref.ref(stream)
    del stream
    if gone() is not None:
        sys.exit("lstmfast: a stream lives on after its last reference")
    gc.enable()
    print(f"lstmfast: the state after {CHUNKS} chunks holds none of them")


class Watched:
    """What lives exactly as long as a graph has a tensor that it saved."""


def in_pytorch() -> None:
    """How many of ten chunks' graphs are alive, by modules of ours and PyTorch's, where PyTorch is."""
    try:
        import torch
    except ImportError:
        print("PyTorch: not installed")
        return
    import lstmfast.torch

    def alive(module: Any, detach: bool) -> int:
        state, watched = None, []
        for _ in range(10):
            watch = Watched()
            watched.append(weakref.ref(watch))
            with torch.autograd.graph.saved_tensors_hooks(
                lambda tensor, watch=watch: (tensor.detach(), watch), lambda packed: packed[0]
            ):
                state = module(torch.ones(T, B, I), state)[1]
            del watch
            if detach:
                state = tuple(half.detach() for half in state)
        gc.collect()
        return sum(watch() is not None for watch in watched)

    ours, theirs = lstmfast.torch.LSTM(I, H), torch.nn.LSTM(I, H)
    for detach in (True, False):
        found, wanted = alive(ours, detach), alive(theirs, detach)
        how = "detached" if detach else "carried on"
        print(f"lstmfast.torch: of 10 chunks, {how}, {found} graphs are alive; of PyTorch's {wanted}")
        if found != (0 if detach else 10):
            sys.exit(f"lstmfast.torch: {found} graphs of 10 chunks are alive, {how}")
    x = torch.ones(T, B, I, requires_grad=True)
    y = ours(x)[0]
    gone = weakref.ref(y.grad_fn)
    y.sum().backward()
    del y
    gc.collect()
    if gone() is not None:
        sys.exit("lstmfast.torch: a graph lives on after its backward pass and its output")


if __name__ == "__main__":
    main()
    in_pytorch()
