"""Keras, on PyTorch: LSTM, GRU, SimpleRNN and Bidirectional."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from ..outcomes import H as UNITS
from ..outcomes import Outcome, inputs, output_gradient, random_like, time_first

NEEDS = ("keras", "torch")


def _layer(kind: str, options: dict[str, Any], both: bool = False, **ours: Any) -> Outcome:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    import torch

    name = {"RNN": "SimpleRNN"}.get(kind, kind)
    layer = getattr(keras.layers, name)(UNITS, return_sequences=True, **options)
    if both:
        layer = keras.layers.Bidirectional(layer)
    x = inputs()
    batch = torch.from_numpy(time_first(x))
    layer.build(batch.shape)
    arrays = random_like([tuple(weight.shape) for weight in layer.weights])
    layer.set_weights(arrays)
    y = layer(batch)
    dy = output_gradient(y.shape[-1])
    y.backward(torch.from_numpy(time_first(dy)).to(y.device))
    gradients = [weight.value.grad.cpu().numpy() for weight in layer.trainable_weights]
    return Outcome(
        kind,
        "keras",
        [keras.ops.convert_to_numpy(weight) for weight in layer.get_weights()],
        x,
        time_first(y.detach().cpu()),
        dy,
        gradients,
        ours,
        {"keras": keras.__version__},
    )


def _names(kind: str) -> Outcome:
    """As a mapping, by the names that Keras has."""
    import keras

    outcome = _layer(kind, {})
    layer = {"RNN": keras.layers.SimpleRNN}.get(kind, getattr(keras.layers, kind, None))(UNITS)
    layer.build((None, None, outcome.x.shape[-1]))
    names = [weight.name for weight in layer.weights]
    outcome.written = outcome.arrays
    outcome.arrays = dict(zip(names, outcome.arrays, strict=True))
    outcome.gradients = None
    return outcome


CASES: dict[str, Callable[[], Outcome]] = {
    "lstm": partial(_layer, "LSTM", {}),
    "lstm without biases": partial(_layer, "LSTM", {"use_bias": False}),
    "lstm both ways": partial(_layer, "LSTM", {}, True),
    "gru": partial(_layer, "GRU", {}),
    "gru before": partial(_layer, "GRU", {"reset_after": False}),
    "gru both ways": partial(_layer, "GRU", {}, True),
    "gru without biases": partial(_layer, "GRU", {"use_bias": False}),
    "gru before, without biases": partial(
        _layer, "GRU", {"use_bias": False, "reset_after": False}, reset_after=False
    ),
    "rnn": partial(_layer, "RNN", {}),
    "rnn relu": partial(_layer, "RNN", {"activation": "relu"}, nonlinearity="relu"),
    "lstm by names": partial(_names, "LSTM"),
    "gru by names": partial(_names, "GRU"),
}
