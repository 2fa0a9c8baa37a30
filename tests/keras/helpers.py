"""Keras' layers and ours with the same weights, and all that a call of either gives, on any backend.

Import this after `keras = pytest.importorskip("keras")` and the backend's package.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import lstmfast.keras

from ..helpers import Array, random

I, H, T, B = 5, 7, 6, 4  # odd, and none a whole vector
BACKEND = keras.config.backend()
HAS_GRADIENTS = BACKEND != "numpy"

# Of each: the class, and options. Every way in which the core has a cell for Keras' is among them.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {}),
    "lstm_without_bias": ("LSTM", {"use_bias": False}),
    "lstm_of_other_functions": ("LSTM", {"activation": "softsign", "recurrent_activation": "hard_sigmoid"}),
    "gru": ("GRU", {}),
    "gru_without_bias": ("GRU", {"use_bias": False}),
    "gru_reset_before": ("GRU", {"reset_after": False}),
    "gru_reset_before_without_bias": ("GRU", {"reset_after": False, "use_bias": False}),
    "gru_of_other_functions": ("GRU", {"activation": "relu", "recurrent_activation": "hard_sigmoid"}),
    "rnn": ("SimpleRNN", {}),
    "rnn_relu": ("SimpleRNN", {"activation": "relu"}),
    "rnn_without_bias_elu": ("SimpleRNN", {"activation": "elu", "use_bias": False}),
}
PLAIN = ("lstm", "gru", "gru_reset_before", "rnn")  # one of each formula
# Of those, some where each takes seconds to compile and nothing new comes of it.
SOME = ("lstm", "gru_reset_before") if BACKEND in ("jax", "tensorflow") else PLAIN

# Which steps count: B rows of T.
MASKS: dict[str, Array] = {
    "ends": np.arange(T) < np.array([[6], [4], [1], [0]]),
    "full": np.ones((B, T), bool),
    "left": np.arange(T) >= np.array([[0], [2], [5], [6]]),
    "holes": np.array([[0, 1, 0, 0, 1, 1], [1, 0, 1, 0, 1, 0], [1, 1, 0, 1, 1, 0], [0, 0, 1, 0, 0, 0]], bool),
    "nothing": np.zeros((B, T), bool),
}


def pair(case: str, **options: Any) -> tuple[Any, Any]:
    """Keras' layer of a case and ours, built, with the same weights: none of them zero."""
    name, more = CASES[case]
    options = {"seed": 3, **more, **options}
    theirs, ours = getattr(keras.layers, name)(H, **options), getattr(lstmfast.keras, name)(H, **options)
    for layer in (theirs, ours):
        layer.build((options.get("batch", B), T, I))
    randomize(theirs)
    ours.set_weights(theirs.get_weights())
    return theirs, ours


def randomize(layer: Any, seed: int = 5) -> None:
    """Give a layer weights of which none is zero, so that a bias that is left out shows."""
    layer.set_weights([random(w.shape, w.dtype, seed + n, 0.5) for n, w in enumerate(layer.get_weights())])


def state_of(layer: Any, rows: int = B, dtype: str = "float32") -> list[Any]:
    """An initial state, as Keras nests it."""
    seeds = iter(range(20, 40))

    def of(sizes: Any) -> list[Any]:
        sizes = sizes if isinstance(sizes, (list, tuple)) else [sizes]
        return [random((rows, size), dtype, next(seeds)) for size in sizes]

    cells = getattr(layer.cell, "cells", None)
    return of(layer.cell.state_size) if cells is None else [of(cell.state_size) for cell in cells]


def arrays(value: Any) -> Any:
    """Whatever a layer gives, as arrays."""
    return keras.tree.map_structure(keras.ops.convert_to_numpy, value)


def everything(layer: Any, x: Array, initial_state: Any = None, **call: Any) -> dict[str, Array]:
    """All that a call gives, and the gradients of x, states and weights for upstream gradients of all of it.

    On JAX and TensorFlow, which compile, both come of one compiled function.
    """
    results, gradients = _WAYS[BACKEND](layer, x, initial_state, call)
    found = {f"output_{n}": array for n, array in enumerate(results)}
    names = ["x", *(f"state_{n}" for n in range(len(keras.tree.flatten(initial_state or []))))]
    names += [weight.path.split("/")[-1] for weight in layer.trainable_weights]
    for n, (name, gradient) in enumerate(zip(names, gradients, strict=HAS_GRADIENTS)):
        found[f"gradient of {name} ({n})"] = gradient
    return found


def _loss(results: Any) -> Any:
    """A sum in which every number of every result has a weight of its own."""
    return sum(
        keras.ops.sum(keras.ops.multiply(result, random(tuple(result.shape), "float64", 50 + n)))
        for n, result in enumerate(keras.tree.flatten(results))
    )


def _on_numpy(layer: Any, x: Array, state: Any, call: Any) -> tuple[list[Array], list[Array]]:
    return keras.tree.flatten(layer(x, initial_state=state, **call)), []


def _on_torch(layer: Any, x: Array, state: Any, call: Any) -> tuple[list[Array], list[Array]]:
    import torch

    leaf: Any = functools.partial(torch.tensor, requires_grad=True)
    given = (leaf(x), None if state is None else keras.tree.map_structure(leaf, state))
    results = layer(given[0], initial_state=given[1], **call)
    wanted = [t for t in keras.tree.flatten(given) if t is not None]
    wanted += [weight.value for weight in layer.trainable_weights]
    gradients = torch.autograd.grad(_loss(results), wanted)
    return keras.tree.flatten(arrays(results)), [array.numpy() for array in gradients]


def _on_jax(layer: Any, x: Array, state: Any, call: Any) -> tuple[list[Array], list[Array]]:
    import jax

    fixed = [v.value for v in layer.non_trainable_variables]

    def losses(x: Any, state: Any, weights: Any) -> Any:
        results, _ = layer.stateless_call(weights, fixed, x, initial_state=state, **call)
        return _loss(results), results

    run = jax.jit(jax.value_and_grad(losses, argnums=(0, 1, 2), has_aux=True))
    (_, results), gradients = run(x, state, [v.value for v in layer.trainable_variables])
    return [np.asarray(r) for r in jax.tree.leaves(results)], [
        np.asarray(g) for g in jax.tree.leaves(gradients)
    ]


def _on_tensorflow(layer: Any, x: Array, state: Any, call: Any) -> tuple[list[Array], list[Array]]:
    import tensorflow as tf

    @tf.function  # type: ignore[untyped-decorator]
    def run(given: Any) -> Any:
        wanted = [t for t in keras.tree.flatten(given) if t is not None]
        with tf.GradientTape() as tape:
            tape.watch(wanted)
            results = layer(given[0], initial_state=given[1], **call)
            loss = _loss(results)
        return results, tape.gradient(loss, [*wanted, *(w.value for w in layer.trainable_weights)])

    given = (tf.constant(x), None if state is None else keras.tree.map_structure(tf.constant, state))
    results, gradients = run(given)
    return [r.numpy() for r in keras.tree.flatten(results)], [g.numpy() for g in gradients]


_WAYS: dict[str, Callable[..., tuple[list[Array], list[Array]]]] = {
    "torch": _on_torch,
    "jax": _on_jax,
    "tensorflow": _on_tensorflow,
    "numpy": _on_numpy,
}

# Of float32's results both round; float64's are exact enough to show any difference in the formulas.
BOUNDS = {"float32": 5e-6, "float64": 1e-12}


def assert_same(ours: dict[str, Array], theirs: dict[str, Array], dtype: str = "float32") -> None:
    """Compare all that two layers gave, relative to the largest number of each."""
    assert list(ours) == list(theirs)
    for name, expected in theirs.items():
        assert ours[name].shape == expected.shape, name
        assert ours[name].dtype == expected.dtype, name
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        np.testing.assert_allclose(ours[name], expected, 0, BOUNDS[dtype] * scale, err_msg=name)


def path_of(layer: Any, *args: Any, **kwargs: Any) -> str:
    """Which way a call goes."""
    return lstmfast.keras.explain(layer, *args, **kwargs).path


def skip_unless(*backends: str) -> None:
    """Skip a test that is of other backends."""
    if BACKEND not in backends:
        pytest.skip(f"of {', '.join(backends)} alone")
