"""Rows that come back in another order than they went in.

Where: programs around PyTorch's packed sequences, which had to be sorted by length before version 1.1
(https://github.com/pytorch/pytorch/issues/3584): who sorted the input and forgot the initial state, or the
last one, gave states to the wrong rows. Still so for who sorts himself and passes hx as it was.
What comes of it: embeddings of a batch that are mixed up (https://github.com/fartashf/vsepp/pull/36).
Here: nothing is sorted that a caller could see: lengths in any order, and outputs, states and gradients lie
where their rows lie.
"""

from __future__ import annotations

import sys

import numpy as np

import lstmfast

T, B, I, H = 9, 8, 4, 6


def main() -> None:
    rng = np.random.default_rng(0)
    layer = lstmfast.LSTM(I, H, num_layers=2, bidirectional=True, seed=0)
    x = rng.standard_normal((T, B, I)).astype(np.float32)
    h, c = rng.standard_normal((2, 4, B, H)).astype(np.float32)
    lengths = np.array([3, 9, 0, 7, 7, 1, 9, 4])

    def all_of(order: object) -> list[np.ndarray]:
        """Outputs, states and gradients of rows in an order, each with its rows on axis 1."""
        y, (h_n, c_n), tape = layer.forward(x[:, order], (h[:, order], c[:, order]), lengths=lengths[order])
        grads = layer.backward(tape, np.ones_like(y))
        return [y, h_n, c_n, grads.x, *grads.state]

    names = ("y", "h_n", "c_n", "dx", "dh_0", "dc_0")
    as_given = all_of(np.arange(B))
    for b in range(B):
        for name, alone, array in zip(names, all_of([b]), as_given, strict=True):
            if not np.array_equal(alone[:, 0], array[:, b]):
                sys.exit(
                    f"lstmfast: {name} of row {b}, of length {lengths[b]}, is not what that row gives alone"
                )
    for _ in range(50):
        order = rng.permutation(B)
        for name, moved, array in zip(names, all_of(order), as_given, strict=True):
            if not np.array_equal(moved, array[:, order]):
                sys.exit(f"lstmfast: {name} lies elsewhere than its rows, in the order {order}")
    print("lstmfast: results lie where their rows lie, lengths in any order")


def in_pytorch() -> None:
    """`lstmfast.torch` with an unsorted PackedSequence and an initial state, where PyTorch is."""
    try:
        import torch
    except ImportError:
        print("PyTorch: not installed")
        return
    import lstmfast.torch

    theirs = torch.nn.LSTM(I, H, bidirectional=True)
    ours = lstmfast.torch.LSTM(I, H, bidirectional=True)
    ours.load_state_dict(theirs.state_dict())
    x, h, c = torch.randn(T, B, I), torch.randn(2, B, H), torch.randn(2, B, H)
    lengths = torch.tensor([3, 9, 2, 7, 7, 1, 9, 4])
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    with torch.inference_mode():
        (y, (h_n, c_n)), (expected, state) = ours(packed, (h, c)), theirs(packed, (h, c))
    if not torch.equal(y.batch_sizes, expected.batch_sizes):
        sys.exit("lstmfast.torch: an unsorted PackedSequence comes back with other sizes")
    off = max(
        float((one - two).abs().max())
        for one, two in ((y.data, expected.data), (h_n, state[0]), (c_n, state[1]))
    )
    if off > 1e-5:
        sys.exit(f"lstmfast.torch: an unsorted PackedSequence comes back {off:.2g} off")
    print(f"lstmfast.torch: likewise with a PackedSequence, within {off:.2g} of PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
    in_pytorch()
