"""Keras, on PyTorch: LSTM, GRU, SimpleRNN and Bidirectional."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from ..outcomes import H as UNITS
from ..outcomes import Outcome, inputs, output_gradient, random_like, time_first

NEEDS = ("keras", "torch")


def _layer(
    kind: str, options: dict[str, Any], both: bool = False, named: bool = False, **ours: Any
) -> Outcome:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    import torch

    layer = getattr(keras.layers, {"RNN": "SimpleRNN"}.get(kind, kind))(
        UNITS, return_sequences=True, **options
    )
    if both:
        layer = keras.layers.Bidirectional(layer)
    x = inputs()
    batch = torch.from_numpy(time_first(x))
    layer.build(batch.shape)
    layer.set_weights(random_like([tuple(weight.shape) for weight in layer.weights]))
    y = layer(batch)
    dy = output_gradient(y.shape[-1])
    y.backward(torch.from_numpy(time_first(dy)).to(y.device))
    arrays = [keras.ops.convert_to_numpy(weight) for weight in layer.get_weights()]
    gradients = [weight.value.grad.cpu().numpy() for weight in layer.trainable_weights]
    versions = {"keras": keras.__version__}
    outcome = Outcome(kind, "keras", arrays, x, time_first(y.detach().cpu()), dy, gradients, ours, versions)
    if named:  # they are written as a list in any case
        outcome.written = arrays
        outcome.arrays = {weight.name: array for weight, array in zip(layer.weights, arrays, strict=True)}
    return outcome


CASES: dict[str, Callable[[], Outcome]] = {
    "lstm": partial(_layer, "LSTM", {}),
    "lstm without biases": partial(_layer, "LSTM", {"use_bias": False}),
    "lstm both ways": partial(_layer, "LSTM", {}, True),
    "lstm by names": partial(_layer, "LSTM", {}, named=True),
    "gru": partial(_layer, "GRU", {}),
    "gru before": partial(_layer, "GRU", {"reset_after": False}),
    "gru both ways": partial(_layer, "GRU", {}, True),
    "gru by names": partial(_layer, "GRU", {}, named=True),
    "gru without biases": partial(_layer, "GRU", {"use_bias": False}),
    "gru before, without biases": partial(
        _layer, "GRU", {"use_bias": False, "reset_after": False}, reset_after=False
    ),
    "rnn": partial(_layer, "RNN", {}),
    "rnn relu": partial(_layer, "RNN", {"activation": "relu"}, nonlinearity="relu"),
}
