"""Lengths that are no whole numbers, and are cut down to some.

Where: code that keeps lengths as parts of the longest, as SpeechBrain does: 0.29 of 100 frames is
28.999999999999996, which becomes 28; a target of one label became none
(https://github.com/speechbrain/speechbrain/issues/1129). PyTorch's `pack_padded_sequence` takes a list of
floats and cuts them.
What comes of it: a last frame that is missing now and then, or a loss that is infinite.
Here: lengths are integers, of any integer dtype. Floats are refused, whole ones as well, for who has floats
has a rounding to decide on; so are bools, texts, numbers out of 0 to T, and as many as are not the rows.
"""

from __future__ import annotations

import sys

import numpy as np

import lstmfast

PART = 0.29 * 100
BAD = {
    "a list of floats": [PART, 100.0],
    "whole floats": [29.0, 100.0],
    "an array of float32": np.array([PART, 100], np.float32),
    "bools": [True, False],
    "texts": ["29", "100"],
    "a None": [29, None],
    "negative": [-1, 100],
    "more than T": [29, 101],
    "too many": [29, 100, 100],
    "a column": [[29], [100]],
    "huge": [29, 2**63],
}


def main() -> None:
    x = np.ones((100, 2, 3), np.float32)
    layers = (
        lstmfast.LSTM(3, 4, seed=0),
        lstmfast.GRU(3, 4, seed=0),
        lstmfast.RNN(3, 4, seed=0).quantize("int8"),
    )
    for layer in layers:
        for what, lengths in BAD.items():
            try:
                layer(x, lengths=lengths)
            except (TypeError, ValueError) as error:
                if not str(error).startswith("lengths: expected"):
                    sys.exit(f"lstmfast: {what} as lengths: the message does not name them: {error}")
            else:
                sys.exit(f"lstmfast: takes {what} as lengths: {lengths!r}")
        for integer in (np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64):
            y, _ = layer(x, lengths=np.array([29, 100], integer))
            if y[28, 0].all() == 0 or y[29:, 0].any():
                sys.exit(f"lstmfast: 29 as {integer.__name__} is not 29 steps")
    print("lstmfast: lengths are whole numbers, or refused")


def in_pytorch() -> None:
    """The same of `lstmfast.torch`, where PyTorch is."""
    try:
        import torch
    except ImportError:
        print("PyTorch: not installed")
        return
    import lstmfast.torch

    lstm, x = lstmfast.torch.LSTM(3, 4), torch.ones(100, 2, 3)
    for what, lengths in (*BAD.items(), ("a tensor of floats", torch.tensor([PART, 100.0]))):
        try:
            lstm(x, lengths=lengths)
        except (TypeError, ValueError):
            continue
        sys.exit(f"lstmfast.torch: takes {what} as lengths: {lengths!r}")
    print("lstmfast.torch: likewise")


def pytorch() -> None:
    import torch

    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.ones(100, 1, 1), [PART])
    print(f"PyTorch {torch.__version__}: {PART} steps are packed as {len(packed.data)}")


if __name__ == "__main__":
    main()
    in_pytorch()
    try:
        pytorch()
    except Exception as error:  # whatever it does: this is about lstmfast
        print("PyTorch:", error)
