"""Batches of no rows, and sequences of no steps.

Where: ONNX Runtime with T = 0, whose Y_h is zeros instead of the initial state and whose Y_c is not to be
relied on; PyTorch's LSTM refuses T = 0; Flax' `nn.RNN` gives a row of length 0 the state after all its
padding.
What comes of it: a server's loop over what has come, which fails, or forgets, when nothing has.
Here: no rows give arrays of no rows, no steps give no outputs and the initial state, forward and backward,
and gradients of weights are then zero.
"""

from __future__ import annotations

import sys

import numpy as np

import lstmfast

I, H = 3, 4


def main() -> None:
    for kind in (lstmfast.LSTM, lstmfast.GRU, lstmfast.RNN, lstmfast.LayerNormLSTM):
        for options in ({}, {"bidirectional": True, "num_layers": 2}, {"batch_first": True}):
            layer = kind(I, H, seed=0, **options)
            depth, ways = (4, 2) if options.get("bidirectional") else (1, 1)
            for T, B in ((0, 3), (5, 0), (0, 0)):
                axes = (B, T) if options.get("batch_first") else (T, B)
                h = np.random.default_rng(0).standard_normal((depth, B, H)).astype(np.float32)
                state = (h, 2 * h) if "LSTM" in kind.__name__ else h
                y, end, tape = layer.forward(np.ones((*axes, I), np.float32), state)
                called, _ = layer(np.ones((*axes, I), np.float32), state)
                grads = layer.backward(tape, y, state)
                said = f"{layer!r} with T = {T} and B = {B}"
                if y.shape != (*axes, ways * H) or called.shape != y.shape or grads.x.shape != (*axes, I):
                    sys.exit(f"lstmfast: {said}: y has shape {y.shape}, dx {grads.x.shape}")
                pairs = zip(end, state, strict=True) if isinstance(state, tuple) else [(end, state)]
                if T == 0 and not all(np.array_equal(after, before) for after, before in pairs):
                    sys.exit(f"lstmfast: {said}: the state after no steps is not the initial one")
                if any(gradient.any() for gradient in grads.parameters.values()):
                    sys.exit(f"lstmfast: {said}: gradients of weights are not zero")
    stream = lstmfast.LSTM(I, H, seed=0).stream()
    stream.step(np.ones(I))
    before = stream.state
    if stream.run(np.ones((0, I))).shape != (0, H) or not np.array_equal(stream.state[0], before[0]):
        sys.exit("lstmfast: a stream that runs no steps has another state")
    pool = lstmfast.LSTM(I, H, seed=0).stream_pool(2)
    if pool.step([], np.ones((0, I))).shape != (0, H):
        sys.exit("lstmfast: a pool that steps no streams gives something")
    print("lstmfast: nothing in, nothing out, and the state stays")


def pytorch() -> None:
    import torch

    lstm = torch.nn.LSTM(I, H)
    try:
        said = str(lstm(torch.ones(0, 3, I))[0].shape)
    except RuntimeError as error:
        said = f"refused: {error}"
    print(f"PyTorch {torch.__version__}: no steps: {said}")


if __name__ == "__main__":
    main()
    try:
        pytorch()
    except Exception as error:  # whatever it does: this is about lstmfast
        print("PyTorch:", error)
