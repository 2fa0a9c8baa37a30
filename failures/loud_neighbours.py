"""Whole numbers of 8 bits that overflow, or whose scale a neighbour sets.

Where: ONNX Runtime's DynamicQuantizeLSTM: one scale for all rows of a batch, so that a loud row makes the
others coarse; and on CPUs with AVX2 and without VNNI pairs of products are added in 16 bits and saturate,
errors of 0.1 to 0.3 unless `reduce_range=True` (https://github.com/microsoft/onnxruntime/issues/6004 tells of
that in another operator).
What comes of it: a model that is right on the new servers and wrong on the old ones, or when two users talk
at once.
Here: each row has its own scale at each step, and sums are exact in 32 bits on every instruction set, at the
largest numbers too: a row has the same bits alone and beside one a million times as loud.
"""

from __future__ import annotations

import sys

import numpy as np

import lstmfast

T, I, H = 12, 48, 96


def main() -> None:
    rng = np.random.default_rng(0)
    for kind in (lstmfast.LSTM, lstmfast.GRU, lstmfast.RNN):
        layer = kind(I, H, seed=0).quantize("int8")
        quiet = rng.standard_normal((T, 1, I)).astype(np.float32)
        alone, _ = layer(quiet)
        for B in (2, 5, 16):
            x = np.repeat(quiet, B, axis=1)
            x[:, 1:] *= 1e6
            if not np.array_equal(layer(x)[0][:, :1], alone):
                sys.exit(f"lstmfast: a row of {layer!r} depends on loud ones beside it")
    # h = relu(sum of x), all at its largest, so that sums of pairs would not fit into 16 bits.
    rnn = lstmfast.RNN(I, H, nonlinearity="relu", bias=False)
    rnn.update({"weight_ih_l0": np.ones((H, I)), "weight_hh_l0": np.zeros((H, H))})
    for isa in lstmfast.available_isas():
        small = lstmfast.RNN(I, H, nonlinearity="relu", bias=False, isa=isa)
        small.load_state_dict(rnn.state_dict())
        y, _ = small.quantize("int8")(np.ones((1, 3, I), np.float32))
        if np.abs(y - I).max() > 1e-4 * I:
            sys.exit(f"lstmfast: on {isa} a sum of {I} ones in int8 is {y.flat[np.abs(y - I).argmax()]}")
    print("lstmfast: rows of int8 layers have scales of their own, and sums that are exact")


if __name__ == "__main__":
    main()
