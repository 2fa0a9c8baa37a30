"""Equinox: LSTMCell, GRUCell."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..outcomes import B, H, I, Outcome, inputs, output_gradient, random_like

NEEDS = ("jax", "equinox")


def _cell(kind: str, use_bias: bool = True) -> Outcome:
    import equinox
    import jax

    x = inputs()
    cell = getattr(equinox.nn, f"{kind}Cell")(I, H, use_bias=use_bias, key=jax.random.key(0))
    names = [name for name in ("weight_ih", "weight_hh", "bias", "bias_n") if hasattr(cell, name)]
    there = [name for name in names if getattr(cell, name) is not None]
    arrays = dict(zip(there, random_like([getattr(cell, name).shape for name in there]), strict=True))

    def outputs(arrays: Any) -> Any:
        module = equinox.tree_at(
            lambda cell: [getattr(cell, name) for name in there], cell, [arrays[name] for name in there]
        )

        def step(state: Any, x: Any) -> Any:
            state = jax.vmap(module)(x, state)
            return state, state[0] if kind == "LSTM" else state

        zero = jax.numpy.zeros((B, H))
        return jax.lax.scan(step, (zero, zero) if kind == "LSTM" else zero, x)[1]

    dy = output_gradient(H)
    gradients = jax.grad(lambda arrays: (outputs(arrays) * dy).sum())(arrays)
    return Outcome(
        kind,
        "equinox",
        arrays,
        x,
        np.asarray(outputs(arrays)),
        dy,
        {name: np.asarray(array) for name, array in gradients.items()},
        versions={"equinox": equinox.__version__},
    )


CASES: dict[str, Callable[[], Outcome]] = {
    "LSTMCell": partial(_cell, "LSTM"),
    "LSTMCell without biases": partial(_cell, "LSTM", False),
    "GRUCell": partial(_cell, "GRU"),
    "GRUCell without biases": partial(_cell, "GRU", False),
}
