"""NaN in the padding that comes into results or gradients.

Where: engines that compute the padding and mask it afterwards: zero times NaN is NaN. In TensorFlow gradients
of a loop over steps were NaN though no NaN entered the loss
(https://github.com/tensorflow/tensorflow/issues/6209).
What comes of it: a loss that is finite, and weights that are NaN after the first step.
Here: what lies past a row's end, or at a masked step, is not read: results and all gradients have the same
bits whatever is there, in x and in dy, and dx is zero there.
"""

from __future__ import annotations

import sys

import numpy as np

import lstmfast

T, B, I, H = 8, 6, 4, 20


def main() -> None:
    rng = np.random.default_rng(0)
    lengths = np.array([3, 8, 0, 5, 5, 1])
    ends = np.arange(T)[:, np.newaxis] >= lengths
    holes = rng.random((T, B)) < 0.4
    for kind in (lstmfast.LSTM, lstmfast.GRU, lstmfast.RNN, lstmfast.LayerNormLSTM):
        layer = kind(I, H, num_layers=2, bidirectional=True, seed=0)
        for what, padding, cut in (
            ("lengths", ends, {"lengths": lengths}),
            ("mask", holes, {"mask": ~holes}),
        ):
            expected: dict[str, bytes] = {}
            numbers = rng.standard_normal((T, B, I)).astype(np.float32)
            for filling in (0, np.nan, np.inf, 1e30):
                x = numbers.copy()
                x[padding] = filling
                called, _ = layer(x, **cut)
                y, _, tape = layer.forward(x, **cut)
                dy = np.ones_like(y)
                if what == "lengths":  # a masked step repeats an output, whose gradient counts
                    dy[padding] = filling
                grads = layer.backward(tape, dy)
                if grads.x[padding].any():
                    sys.exit(f"lstmfast: {layer!r} with {what}: dx is not zero in the padding")
                found = {"a call's y": called, "y": y, "dx": grads.x, **grads.parameters}
                for name, array in found.items():
                    if not np.isfinite(array).all():
                        sys.exit(f"lstmfast: {layer!r} with {what}: {name} is not finite beside {filling}")
                    if expected.setdefault(name, array.tobytes()) != array.tobytes():
                        sys.exit(f"lstmfast: {layer!r} with {what}: {name} depends on the padding, {filling}")
    print("lstmfast: what lies in the padding is no matter, NaN too")


def pytorch() -> None:
    import torch

    lstm, x = torch.nn.LSTM(I, H), torch.randn(T, 2, I)
    x[4:, 1] = torch.nan
    y, _ = lstm(x)
    loss = torch.where(torch.isnan(x[..., :1]), 0, y).sum()  # the padding is masked after the layer
    loss.backward()
    nan = bool(torch.isnan(lstm.weight_hh_l0.grad).any())
    print(f"PyTorch {torch.__version__}: masked after it, the loss is {loss:.3f}, NaN in gradients: {nan}")


if __name__ == "__main__":
    main()
    try:
        pytorch()
    except Exception as error:  # whatever it does: this is about lstmfast
        print("PyTorch:", error)
