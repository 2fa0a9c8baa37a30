"""A GRU whose reset gate is applied at another place, or whose two biases are one.

Where: there are two GRUs: r multiplies h before the product (the first paper, ONNX's default, Haiku) or what
comes of it (cuDNN, PyTorch, Keras 3). MNN computes the second where the file says the first (docs/onnx.md).
Where r comes after the product, its bias stands inside: converters that add both biases up make another model
of it.
What comes of it: weights that fit by shape, and outputs that are near enough to be blamed on rounding, or on
training.
Here: `GRU(reset_after=)` is either, each compared with its equations in plain NumPy, by calls, streams and
gradients; and `from_weights` knows from a convention, or from the shape of the biases, which it is.
"""

from __future__ import annotations

import sys

import numpy as np

import lstmfast

T, I, H = 12, 3, 5


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def truth(layer: lstmfast.GRU, x: np.ndarray, after: bool, one_bias: bool = False) -> np.ndarray:
    """Compute h of every step, as the equations have it."""
    w_r, w_z, w_n = np.split(layer.parameters["weight_ih_l0"], 3)
    u_r, u_z, u_n = np.split(layer.parameters["weight_hh_l0"], 3)
    b, d = (np.split(layer.parameters[name], 3) for name in ("bias_ih_l0", "bias_hh_l0"))
    b_n, d_n = (b[2] + d[2], 0 * d[2]) if one_bias else (b[2], d[2])
    h, ys = np.zeros(H), []
    for frame in x:
        r, z = sigmoid(w_r @ frame + u_r @ h + b[0] + d[0]), sigmoid(w_z @ frame + u_z @ h + b[1] + d[1])
        n = np.tanh(w_n @ frame + b_n + (r * (u_n @ h + d_n) if after else u_n @ (r * h) + d_n))
        h = (1 - z) * n + z * h
        ys.append(h)
    return np.array(ys)


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((T, I))
    for after in (True, False):
        layer = lstmfast.GRU(I, H, reset_after=after, dtype="float64", seed=0)
        layer.update({name: 3 * weights for name, weights in layer.parameters.items()})
        expected, other = truth(layer, x, after), truth(layer, x, not after)
        if (
            np.abs(expected - other).max() < 0.01
            or np.abs(truth(layer, x, True, True) - truth(layer, x, True)).max() < 0.01
        ):
            sys.exit("this is no test: the two GRUs are alike on it")
        y, _, tape = layer.forward(x)
        for what, found in {"a call": layer(x)[0], "forward": y, "a stream": layer.stream().run(x)}.items():
            if (off := np.abs(found - expected).max()) > 1e-12:
                sys.exit(f"lstmfast: {what} of {layer!r} is off by {off:.2g} from its equations")
        # The slope of sum(y) along the gradient, of the equations themselves.
        dx, step = layer.backward(tape, np.ones_like(y)).x, 1e-5
        sums = [float(truth(layer, x + sign * step * dx, after).sum()) for sign in (1, -1)]
        if abs((sums[0] - sums[1]) / (2 * step * float((dx**2).sum())) - 1) > 1e-7:
            sys.exit(f"lstmfast: the gradient of {layer!r} is not that of its equations")
        arrays = layer.to_weights("keras")
        back = lstmfast.GRU.from_weights(arrays, "keras")
        if back.reset_after is not after or not np.array_equal(back(x)[0], y):
            sys.exit(f"lstmfast: {layer!r} comes back from Keras' arrays as {back!r}")
    try:
        lstmfast.GRU(I, H, reset_after=False, seed=0).to_weights("pytorch")
    except ValueError:
        print("lstmfast: both GRUs are computed as they are, and neither is taken for the other")
    else:
        sys.exit("lstmfast: a GRU with its reset before the product is given as PyTorch's, which has none")


if __name__ == "__main__":
    main()
