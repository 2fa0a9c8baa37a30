"""A reverse direction that begins in the padding.

Where: batches of different lengths in engines and exporters that know one length for all: the reverse half of
a bidirectional layer has then seen padding before it sees the row's end (asked of PyTorch at
https://github.com/pytorch/pytorch/issues/1811, where packed sequences are right; of haste at
https://github.com/lmnt-com/haste/issues/12). OpenVINO, with a free batch or time axis, ignores lengths.
What comes of it: results of a sentence that depend on the longest one beside it.
Here: with `lengths` each row's reverse direction begins at its own end, in every layer, and h_n is that of
its own first step.
"""

from __future__ import annotations

import sys

import numpy as np

import lstmfast

T, B, I, H = 9, 6, 4, 6


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((T, B, I)).astype(np.float32)
    lengths = np.array([4, 9, 1, 7, 2, 5])
    for kind in (lstmfast.LSTM, lstmfast.GRU, lstmfast.RNN):
        for options in ({"bidirectional": True, "num_layers": 3}, {"direction": "reverse"}):
            layer = kind(I, H, seed=0, **options)
            y, state = layer(x, lengths=lengths)
            for b, length in enumerate(lengths):
                alone, state_alone = layer(x[:length, b])
                halves = (
                    zip(state, state_alone, strict=True) if kind is lstmfast.LSTM else [(state, state_alone)]
                )
                if not np.array_equal(y[:length, b], alone):
                    sys.exit(f"lstmfast: {layer!r}: y of a row of {length} steps depends on what follows")
                if not all(np.array_equal(ours[:, b], own) for ours, own in halves):
                    sys.exit(
                        f"lstmfast: {layer!r}: the state of a row of {length} steps depends on what follows"
                    )
                if y[length:, b].any():
                    sys.exit(f"lstmfast: {layer!r}: y is not zero past the end of a row of {length} steps")
    print("lstmfast: the reverse direction begins at each row's own end")


def pytorch() -> None:
    import torch

    lstm, x = torch.nn.LSTM(I, H, bidirectional=True), torch.randn(T, 1, I)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, [4])
    with torch.inference_mode():
        alone, in_packed, padded = lstm(x[:4])[0][:, 0], lstm(packed)[0].data, lstm(x)[0][:4, 0]
    print(
        f"PyTorch {torch.__version__}: 4 steps are off by {(alone - in_packed).abs().max():.2g} packed,"
        f" by {(alone - padded).abs().max():.2g} padded without saying so"
    )


if __name__ == "__main__":
    main()
    try:
        pytorch()
    except Exception as error:  # whatever it does: this is about lstmfast
        print("PyTorch:", error)
