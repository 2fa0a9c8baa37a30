"""Haiku: LSTM, GRU, VanillaRNN."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..outcomes import B, H, Outcome, inputs, output_gradient, random_like

NEEDS = ("jax", "haiku")


def _core(kind: str, name: str, prefix: str, **options: Any) -> Outcome:
    import haiku
    import jax

    x = inputs()

    def network(x: Any) -> Any:
        core = getattr(haiku, name)(H, **options)
        return haiku.dynamic_unroll(core, x, core.initial_state(B))[0]

    transformed = haiku.without_apply_rng(haiku.transform(network))
    shapes = transformed.init(jax.random.key(0), x)
    leaves, tree = jax.tree.flatten(shapes)
    parameters = jax.tree.unflatten(tree, random_like([leaf.shape for leaf in leaves]))
    y = transformed.apply(parameters, x)
    dy = output_gradient(H)
    gradients = jax.grad(lambda parameters: (transformed.apply(parameters, x) * dy).sum())(parameters)
    outcome = Outcome(
        kind,
        "haiku",
        parameters,
        x,
        np.asarray(y),
        dy,
        jax.tree.map(np.asarray, gradients),
        options={"prefix": prefix},
        versions={"dm-haiku": haiku.__version__},
    )
    if not options.get("double_bias", True):  # zeros are written, which the other form has a place for
        second = {"b": np.zeros(H, np.float32)}
        outcome.written = parameters | {f"{prefix}linear_1": parameters[f"{prefix}linear_1"] | second}
        outcome.gradients = None
    return outcome


CASES: dict[str, Callable[[], Outcome]] = {
    "LSTM": partial(_core, "LSTM", "LSTM", "lstm/"),
    "GRU": partial(_core, "GRU", "GRU", "gru/"),
    "VanillaRNN": partial(_core, "RNN", "VanillaRNN", "vanilla_rnn/"),
    "VanillaRNN of one bias": partial(_core, "RNN", "VanillaRNN", "vanilla_rnn/", double_bias=False),
}
