"""Activations that overflow on the way to a result that does not.

Where: ONNX Runtime's Softplus, infinite from 88.8 on, where exp(x) is; sigmoid as exp(x) / (1 + exp(x)),
which is NaN there; and tanh as 1 - 2 / (exp(2x) + 1), of which nothing is left near zero.
What comes of it: a model that works until an input is out of the usual range, and is NaN from then on.
Here: sigmoid and tanh saturate, Softplus of x is x for large ones, gradients are finite, and small numbers
keep all their digits, in float32 and float64.
"""

from __future__ import annotations

import math
import sys

import numpy as np

import lstmfast


def activated(function: str, numbers: list[float], dtype: str) -> tuple[list[float], list[float]]:
    """A function of each number and its slope: an RNN with weight 1 has it as its output and its gradient."""
    rnn = lstmfast.RNN(1, 1, bias=False, activations=(function,), dtype=dtype)
    rnn.update({"weight_ih_l0": [[1.0]], "weight_hh_l0": [[0.0]]})
    y, _, tape = rnn.forward(np.array(numbers, dtype)[np.newaxis, :, np.newaxis])
    return y.ravel().tolist(), rnn.backward(tape, np.ones_like(y)).x.ravel().tolist()


def main() -> None:
    for dtype, large, small in (
        ("float32", [89.0, 1e5, 3e38], 1e-30),
        ("float64", [710.0, 1e5, 1e308], 1e-300),
    ):
        epsilon = float(np.finfo(dtype).eps)
        large = np.array(large, dtype).tolist()
        for function, limits in (("Sigmoid", (0.0, 1.0)), ("Tanh", (-1.0, 1.0)), ("Softplus", (0.0, None))):
            numbers = [*large, *(-number for number in large)]
            y, slopes = activated(function, numbers, dtype)
            for x, found, slope in zip(numbers, y, slopes, strict=True):
                limit = limits[x > 0]
                wanted = x if limit is None else limit
                if not math.isclose(found, wanted, rel_tol=4 * epsilon, abs_tol=1e-35):
                    sys.exit(f"lstmfast: {function}({x}) in {dtype} is {found}, not {wanted}")
                if not math.isclose(slope, 1.0 if limit is None else 0.0, abs_tol=4 * epsilon):
                    sys.exit(f"lstmfast: the slope of {function} at {x} in {dtype} is {slope}")
        x = float(np.array(small, dtype))
        found = activated("Tanh", [x], dtype)[0][0]
        if found != x:
            sys.exit(f"lstmfast: Tanh({x}) in {dtype} is {found}, which has lost digits")
    lstm = lstmfast.LSTM(2, 3, seed=0)
    y, (h, c), tape = lstm.forward(np.array([[3e38, -3e38], [-3e38, 3e38]], np.float32))
    grads = lstm.backward(tape, np.ones_like(y))
    if not all(np.isfinite(array).all() for array in (y, h, c, grads.x)) or not (np.abs(y) <= 1).all():
        sys.exit(
            "lstmfast: an LSTM's outputs are no numbers from -1 to 1 where its inputs are the largest floats"
        )
    print("lstmfast: nothing overflows on its way")


def onnx_runtime() -> None:
    import importlib

    import lstmfast.onnx

    onnxruntime = importlib.import_module("onnxruntime")
    rnn = lstmfast.RNN(1, 1, bias=False, activations=("Softplus",), seed=0)
    rnn.update({"weight_ih_l0": [[1.0]], "weight_hh_l0": [[0.0]]})
    model = lstmfast.onnx.export(rnn).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    y = session.run(["y"], {"x": np.array([[[88.7], [88.8], [100.0]]], np.float32)})[0]
    print(f"ONNX Runtime {onnxruntime.__version__}: Softplus of 88.7, 88.8 and 100 is {y.ravel().tolist()}")


if __name__ == "__main__":
    main()
    try:
        onnx_runtime()
    except Exception as error:  # whatever it does: this is about lstmfast
        print("ONNX Runtime:", error)
