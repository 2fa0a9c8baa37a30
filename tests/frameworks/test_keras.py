"""Keras' LSTM, GRU and SimpleRNN on the backend of this process: torch, jax or tensorflow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ..helpers import Array
from .helpers import B as ROWS
from .helpers import Call, H, I, Result, Run, T, Tree, prove, randomised
from .jax_helpers import runner

keras = pytest.importorskip("keras")

BACKEND = keras.backend.backend()
# On the others Keras multiplies matrices of float64 in float32, or raises.
DTYPE = "float64" if BACKEND == "tensorflow" else "float32"

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation doesn't accept:DeprecationWarning"
    ),  # its own
    pytest.mark.skipif(BACKEND not in {"torch", "jax", "tensorflow"}, reason="Keras has no gradients there"),
]


def cells(layers: list[Any]) -> list[Any]:
    """Every direction of every layer, in our order."""
    both = [
        (each.forward_layer, each.backward_layer) if hasattr(each, "forward_layer") else (each,)
        for each in layers
    ]
    return [cell for pair in both for cell in pair]


def outcome(layers: list[Any], x: Any, state: tuple[Any, ...]) -> Any:
    """Batch first; of a layer of two directions first all of the forward one's states."""
    batch, ends, k = keras.ops.swapaxes(x, 0, 1), [], 0
    for layer in layers:
        D = len(cells([layer]))
        begin = [part[k + d] for d in range(D) for part in state]
        batch, *end = layer(batch, initial_state=begin)
        ends += [end[d * len(state) : (d + 1) * len(state)] for d in range(D)]
        k += D
    return keras.ops.swapaxes(batch, 0, 1), tuple(keras.ops.stack(parts) for parts in zip(*ends, strict=True))


def on_torch(layers: list[Any]) -> Run:
    def run(arrays: Tree, call: Call) -> Result:
        import torch

        fill(layers, arrays)
        x, *state = map(torch.from_numpy, (call.x, *call.state))
        y, end = outcome(layers, x, tuple(state))
        weights = [weight.value for layer in layers for weight in layer.trainable_weights]
        gradients = torch.autograd.grad(call.loss(y, end, torch.from_numpy), weights)
        return result(layers, y, end, gradients)

    return run


def on_tensorflow(layers: list[Any]) -> Run:
    def run(arrays: Tree, call: Call) -> Result:
        import tensorflow as tf

        fill(layers, arrays)
        weights = [weight.value for layer in layers for weight in layer.trainable_weights]
        with tf.GradientTape() as tape:
            y, end = outcome(layers, tf.constant(call.x), tuple(map(tf.constant, call.state)))
            terms = [(y * call.dy), *(part * d for part, d in zip(end, call.dstate, strict=True))]
            loss = tf.add_n([tf.reduce_sum(term) for term in terms])
        return result(layers, y, end, tape.gradient(loss, weights))

    return run


def on_jax(layers: list[Any]) -> Run:
    def apply(arrays: Tree, x: Any, state: tuple[Any, ...]) -> Any:
        flat = [array for one in nested(layers, arrays) for array in one]
        weights = [weight for layer in layers for weight in layer.trainable_weights]
        with keras.StatelessScope(zip(weights, flat, strict=True)):
            return outcome(layers, x, state)

    return runner(apply)


def result(layers: list[Any], y: Any, end: Any, gradients: Any) -> Result:
    flat = iter([to_numpy(gradient) for gradient in gradients])
    lists = [[next(flat) for _ in layer.trainable_weights] for layer in layers]
    return Result(to_numpy(y), tuple(map(to_numpy, end)), lists[0] if len(layers) == 1 else lists)


def to_numpy(tensor: Any) -> Array:
    return np.array(keras.ops.convert_to_numpy(tensor))


def nested(layers: list[Any], arrays: Tree) -> Tree:
    """A list of arrays for each layer."""
    return [arrays] if len(layers) == 1 else arrays


def fill(layers: list[Any], arrays: Tree) -> None:
    for layer, numbers in zip(layers, nested(layers, arrays), strict=True):
        layer.set_weights(numbers)


def proof(kind: str, *, depth: int = 1, both: bool = False, **options: Any) -> None:
    """Build the layers, give them random weights and compare."""
    layers, size = [], I
    for _ in range(depth):
        name = "SimpleRNN" if kind == "RNN" else kind
        layer = getattr(keras.layers, name)(
            H, return_sequences=True, return_state=True, dtype=DTYPE, **options
        )
        if both:
            layer = keras.layers.Bidirectional(layer, dtype=DTYPE)
        layer.build((ROWS, T, size))
        layers.append(layer)
        size = H * (2 if both else 1)
    lists = [layer.get_weights() for layer in layers]
    run = {"torch": on_torch, "jax": on_jax, "tensorflow": on_tensorflow}[BACKEND](layers)
    ours: dict[str, Any] = {"reset_after": False} if options.get("reset_after") is False else {}
    if "activation" in options:
        ours["nonlinearity"] = options["activation"]
    prove(kind, "keras", randomised(lists[0] if depth == 1 else lists, DTYPE), run, dtype=DTYPE, **ours)


KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("LSTM", {}),
    ("GRU", {}),
    ("GRU", {"reset_after": False}),
    ("RNN", {}),
)


@pytest.mark.parametrize(("depth", "both"), [(1, False), (1, True), (2, False), (2, True)])
@pytest.mark.parametrize(("kind", "options"), KINDS, ids=str)
def test_layers(kind: str, options: dict[str, Any], depth: int, both: bool) -> None:
    proof(kind, depth=depth, both=both, **options)


@pytest.mark.parametrize(("kind", "options"), KINDS, ids=str)
def test_without_biases(kind: str, options: dict[str, Any]) -> None:
    proof(kind, use_bias=False, **options)


def test_relu() -> None:
    proof("RNN", activation="relu")
