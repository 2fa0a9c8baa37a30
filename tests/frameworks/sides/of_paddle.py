"""PaddlePaddle: LSTM, GRU, SimpleRNN, and their cells."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..outcomes import H, I, Outcome, T, inputs, output_gradient, random, time_first

NEEDS = ("paddle",)


def _named(kind: str) -> str:
    return "SimpleRNN" if kind == "RNN" else kind


def _layer(kind: str, **options: Any) -> Outcome:
    paddle: Any = importlib.import_module("paddle")

    layer = getattr(paddle.nn, _named(kind))(I, H, **options)
    _fill(layer)
    x = inputs()
    y, _ = layer(paddle.to_tensor(time_first(x)))
    dy = output_gradient(y.shape[-1])
    (y * paddle.to_tensor(time_first(dy))).sum().backward()
    return _outcome(kind, "paddle", layer, x, time_first(y.numpy()), dy)


def _cell(kind: str) -> Outcome:
    paddle: Any = importlib.import_module("paddle")

    cell = getattr(paddle.nn, f"{_named(kind)}Cell")(I, H)
    _fill(cell)
    x, dy = inputs(), output_gradient(H)
    state, outputs = None, []
    for t in range(T):
        y, state = cell(paddle.to_tensor(x[t]), state)
        outputs.append(y)
    y = paddle.stack(outputs)
    (y * paddle.to_tensor(dy)).sum().backward()
    return _outcome(kind, "paddle-cell", cell, x, y.numpy(), dy)


def _fill(layer: Any) -> None:
    paddle: Any = importlib.import_module("paddle")

    for k, parameter in enumerate(layer.parameters()):
        parameter.set_value(paddle.to_tensor(random(*parameter.shape, seed=k)))


def _outcome(kind: str, convention: str, layer: Any, x: Any, y: Any, dy: Any) -> Outcome:
    paddle: Any = importlib.import_module("paddle")

    held = layer.state_dict()
    arrays = {name: tensor.numpy() for name, tensor in held.items()}
    gradients = {name: tensor.grad.numpy() for name, tensor in held.items()}
    versions = {"paddlepaddle": paddle.__version__}
    return Outcome(kind, convention, arrays, x, np.asarray(y), dy, gradients, versions=versions)


CASES: dict[str, Callable[[], Outcome]] = {
    "LSTM": partial(_layer, "LSTM"),
    "LSTM deep, both ways": partial(_layer, "LSTM", num_layers=2, direction="bidirect"),
    "LSTM projected": partial(_layer, "LSTM", proj_size=3),
    "GRU": partial(_layer, "GRU"),
    "SimpleRNN": partial(_layer, "RNN"),
    "LSTMCell": partial(_cell, "LSTM"),
    "GRUCell": partial(_cell, "GRU"),
    "SimpleRNNCell": partial(_cell, "RNN"),
}
