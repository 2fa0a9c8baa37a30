"""MLX, on the CPU: LSTM, GRU, RNN."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..outcomes import H, I, Outcome, inputs, output_gradient, random_like, time_first

NEEDS = ("mlx",)


def _layer(kind: str, bias: bool = True) -> Outcome:
    mx: Any = importlib.import_module("mlx.core")
    nn: Any = importlib.import_module("mlx.nn")

    mx.set_default_device(mx.cpu)
    layer = getattr(nn, kind)(I, H, bias=bias)
    names = sorted(layer.parameters())
    arrays = dict(zip(names, random_like([layer[name].shape for name in names]), strict=True))
    x, dy = inputs(), output_gradient(H)

    def outputs(parameters: Any) -> Any:
        layer.update(parameters)
        y = layer(mx.array(time_first(x)))
        return y[0] if kind == "LSTM" else y  # of an LSTM all c as well

    given = {name: mx.array(array) for name, array in arrays.items()}
    y = np.array(outputs(given))
    gradients = mx.grad(lambda given: (outputs(given) * mx.array(time_first(dy))).sum())(given)
    return Outcome(
        kind,
        "mlx",
        arrays,
        x,
        time_first(y),
        dy,
        {name: np.array(array) for name, array in gradients.items()},
        versions={"mlx": mx.__version__},
    )


CASES: dict[str, Callable[[], Outcome]] = {
    f"{kind}{'' if bias else ' without biases'}": partial(_layer, kind, bias)
    for kind in ("LSTM", "GRU", "RNN")
    for bias in (True, False)
}
