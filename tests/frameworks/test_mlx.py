"""MLX' LSTM, GRU and RNN, on its CPU stream: float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .helpers import Call, H, I, Result, Tree, prove, randomised

mx = pytest.importorskip("mlx.core")
nn = pytest.importorskip("mlx.nn")


@pytest.fixture(autouse=True)
def _on_cpu() -> None:
    mx.set_default_device(mx.cpu)


def run(module: Any, arrays: Tree, call: Call) -> Result:
    """Batch first; it gives h, and c, of all steps."""

    def loss(weights: Tree) -> Any:
        module.update(weights)
        x = mx.array(call.x).swapaxes(0, 1)
        given = module(x, *(mx.array(part[0]) for part in call.state))
        every = given if isinstance(given, tuple) else (given,)
        y, state = every[0].swapaxes(0, 1), tuple(part[:, -1][None] for part in every)
        return call.loss(y, state, mx.array), y, state

    weights = {name: mx.array(np.array(array)) for name, array in arrays.items()}
    (_, y, state), gradients = mx.value_and_grad(loss)(weights)
    return Result(
        np.array(y),
        tuple(map(np.array, state)),
        {name: np.array(gradient) for name, gradient in gradients.items()},
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_modules(kind: str, bias: bool) -> None:
    module = getattr(nn, kind)(I, H, bias=bias)
    arrays = {name: np.array(array) for name, array in module.parameters().items()}
    prove(kind, "mlx", randomised(arrays, "float32"), lambda *asked: run(module, *asked), dtype="float32")
