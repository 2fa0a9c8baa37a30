"""Flax: cells of linen and of nnx."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..outcomes import B, H, I, Outcome, T, inputs, output_gradient, random_like

NEEDS = ("jax", "flax")


def _linen(kind: str, cell_name: str) -> Outcome:
    import flax
    import jax
    from flax import linen

    cell = getattr(linen, cell_name)(features=H)
    x = inputs()
    shapes = cell.init(jax.random.key(0), cell.initialize_carry(jax.random.key(0), (B, I)), x[0])["params"]
    parameters = _random(shapes)

    def outputs(parameters: Any) -> Any:
        carry, steps = cell.initialize_carry(jax.random.key(0), (B, I)), []
        for t in range(T):
            carry, y = cell.apply({"params": parameters}, carry, x[t])
            steps.append(y)
        return jax.numpy.stack(steps)

    return _outcome(kind, "flax", parameters, outputs, flax.__version__)


def _nnx(kind: str, cell_name: str, convention: str = "flax-nnx") -> Outcome:
    import flax
    import jax
    from flax import nnx

    cell = getattr(nnx, cell_name)(in_features=I, hidden_features=H, rngs=nnx.Rngs(0))
    x = inputs()
    graph, state, others = nnx.split(cell, nnx.Param, ...)
    pure = _random(nnx.to_pure_dict(state))

    def outputs(parameters: Any) -> Any:
        given = jax.tree.map(lambda array: array, state)
        nnx.replace_by_pure_dict(given, parameters)
        module = nnx.merge(graph, given, others)
        carry, steps = module.initialize_carry((B, I), nnx.Rngs(0)), []
        for t in range(T):
            carry, y = module(carry, x[t])
            steps.append(y)
        return jax.numpy.stack(steps)

    return _outcome(kind, convention, pure, outputs, flax.__version__)


def _random(tree: Any) -> Any:
    import jax

    leaves, shape = jax.tree.flatten(tree)
    return jax.tree.unflatten(shape, random_like([leaf.shape for leaf in leaves]))


def _outcome(kind: str, convention: str, parameters: Any, outputs: Any, version: str) -> Outcome:
    import jax

    y = outputs(parameters)
    dy = output_gradient(H)
    gradients = jax.grad(lambda parameters: (outputs(parameters) * dy).sum())(parameters)
    gradients = jax.tree.map(np.asarray, gradients)
    return Outcome(
        kind, convention, parameters, inputs(), np.asarray(y), dy, gradients, versions={"flax": version}
    )


CASES: dict[str, Callable[[], Outcome]] = {
    "linen LSTMCell": partial(_linen, "LSTM", "LSTMCell"),
    "linen OptimizedLSTMCell": partial(_linen, "LSTM", "OptimizedLSTMCell"),
    "linen GRUCell": partial(_linen, "GRU", "GRUCell"),
    "linen SimpleCell": partial(_linen, "RNN", "SimpleCell"),
    "nnx LSTMCell": partial(_nnx, "LSTM", "LSTMCell"),
    "nnx OptimizedLSTMCell": partial(_nnx, "LSTM", "OptimizedLSTMCell", "flax-nnx-optimized"),
    "nnx GRUCell": partial(_nnx, "GRU", "GRUCell"),
    "nnx SimpleCell": partial(_nnx, "RNN", "SimpleCell"),
}
