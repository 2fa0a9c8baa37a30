"""A row's results that depend on the batch around it.

Where: most engines. PyTorch (https://github.com/pytorch/pytorch/issues/58128): another number of rows is
another product of matrices, for which the library below may sum in another order. Of ONNX engines, OpenCV's
GRU from 8 rows on and MNN from 2.
What comes of it: a recording that is scored 0.4999 alone and 0.5001 among others; tests that pass or fail
with the batch.
Here: a row has the same bits alone and in any batch, at any place of it, forward and backward, in every cell.
"""

from __future__ import annotations

import sys

import numpy as np

import lstmfast

T, B, I, H = 7, 33, 24, 40


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((T, B, I)).astype(np.float32)
    dy = rng.standard_normal((T, B, 2 * H)).astype(np.float32)
    for kind in (lstmfast.LSTM, lstmfast.GRU, lstmfast.RNN):
        layer = kind(I, H, num_layers=2, bidirectional=True, seed=0)
        y, _, tape = layer.forward(x)
        dx = layer.backward(tape, dy).x
        for rows in (1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 16, 17):
            part = slice(B - rows, B)
            called, _ = layer(x[:, part])
            trained, _, tape = layer.forward(x[:, part])
            results = {
                "y of a call": (called, y),
                "y": (trained, y),
                "dx": (layer.backward(tape, dy[:, part]).x, dx),
            }
            for what, (found, whole) in results.items():
                if not np.array_equal(found, whole[:, part]):
                    sys.exit(
                        f"lstmfast: {what} of {kind.__name__}'s last {rows} rows is other in a batch of {B}"
                    )
    print("lstmfast: rows have the same bits alone and in batches")


def pytorch() -> None:
    import torch

    torch.manual_seed(0)
    lstm, x = torch.nn.LSTM(I, H, 2, bidirectional=True), torch.randn(T, B, I)
    with torch.inference_mode():
        off = (lstm(x[:, -1:])[0] - lstm(x)[0][:, -1:]).abs().max()
    print(f"PyTorch {torch.__version__}: a row alone is off by {off:.2g} from itself in a batch of {B}")


if __name__ == "__main__":
    main()
    try:
        pytorch()
    except Exception as error:  # whatever it does: this is about lstmfast
        print("PyTorch:", error)
