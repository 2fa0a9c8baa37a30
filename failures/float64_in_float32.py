"""float64 that is computed in float32.

Where: OpenVINO, which takes models of float64 and computes them in float32; ONNX Runtime refuses them when
they run.
What comes of it: a check against a reference in float64 that is a hundred million times off, and no word of
why.
Here: a layer of float64 computes in float64, gates and sums and states, forward and backward: within 1e-14 of
the equations in plain Python, whose sums are exact (`math.fsum`).
"""

from __future__ import annotations

import math
import sys

import numpy as np

import lstmfast

T, I, H = 30, 3, 4


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def outputs(weights: dict[str, list[list[float]]], x: list[list[float]]) -> list[list[float]]:
    """H of every step of an LSTM, as its equations say."""
    h, c, ys = [0.0] * H, [0.0] * H, []
    for frame in x:
        z = [
            math.fsum([b_x, b_h, *(w * v for w, v in zip(w_x, frame)), *(w * v for w, v in zip(w_h, h))])  # noqa: B905
            for w_x, w_h, b_x, b_h in zip(*weights.values(), strict=True)
        ]
        i, f, o = ([sigmoid(v) for v in z[n * H : (n + 1) * H]] for n in (0, 1, 3))
        g = [math.tanh(v) for v in z[2 * H : 3 * H]]
        c = [f[n] * c[n] + i[n] * g[n] for n in range(H)]
        h = [o[n] * math.tanh(c[n]) for n in range(H)]
        ys.append(h)
    return ys


def main() -> None:
    layer = lstmfast.LSTM(I, H, dtype="float64", seed=0)
    x = np.random.default_rng(0).standard_normal((T, I))
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    truth = np.array(outputs({name: layer.parameters[name].tolist() for name in names}, x.tolist()))
    stream = layer.stream()
    found = {"a call": layer(x)[0], "forward": layer.forward(x)[0], "a stream": stream.run(x)}
    for what, y in found.items():
        if y.dtype != np.float64 or (error := float(np.abs(y - truth).max())) > 1e-14:
            sys.exit(
                f"lstmfast: {what} of a float64 layer gives {y.dtype}, off by {np.abs(y - truth).max():.2g}"
            )
    # The slope of sum(y**2) / 2 along the gradient, by central differences.
    y, _, tape = layer.forward(x)
    dx, step = layer.backward(tape, y).x, 1e-5
    loss = [0.5 * float((layer(x + sign * step * dx)[0] ** 2).sum()) for sign in (1, -1)]
    slope, squared = (loss[0] - loss[1]) / (2 * step), float((dx**2).sum())
    if abs(slope / squared - 1) > 1e-7:
        sys.exit(
            f"lstmfast: the gradient of a float64 layer is off by {abs(slope / squared - 1):.2g} of itself"
        )
    print(f"lstmfast: float64 is float64, off by {error:.2g}")


def openvino() -> None:
    import importlib

    import lstmfast.onnx

    theirs = importlib.import_module("openvino")
    layer = lstmfast.LSTM(I, H, dtype="float64", seed=0)
    core = theirs.Core()
    model = core.read_model(lstmfast.onnx.export(layer).SerializeToString())
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    x = np.random.default_rng(0).standard_normal((T, 1, I))
    print(
        f"OpenVINO {theirs.__version__}: float64 is off by {np.abs(compiled([x])[0] - layer(x)[0]).max():.2g}"
    )


if __name__ == "__main__":
    main()
    try:
        openvino()
    except Exception as error:  # whatever it does: this is about lstmfast
        print("OpenVINO:", str(error).splitlines()[0])
