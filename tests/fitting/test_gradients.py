"""What a step of training goes along is the gradient of the loss: finite differences, and a formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast._fitting import Batch, Settings, Windows, fit, losses
from lstmfast._fitting.model import Model
from lstmfast.training import Adam, Dense

from ..helpers import random
from .helpers import weights


def batch(each_step: bool, classes: int) -> Batch:
    lengths = np.array([6, 2, 5])
    x = random((6, 3, 2), np.float64)
    shape = (4, 3) if each_step else (3,)
    weight = random(shape, np.float64, seed=1) ** 2
    if each_step:
        weight[np.arange(2, 6)[:, np.newaxis] >= lengths] = 0
    if classes:
        return Batch(x, np.arange(np.prod(shape)).reshape(shape) % classes, weight, lengths)
    return Batch(x, random((*shape, 3), np.float64, seed=2), weight[..., np.newaxis], lengths)


@pytest.mark.parametrize("each_step", [True, False])
@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
@pytest.mark.parametrize(
    "layer",
    [
        lstmfast.LSTM(2, 3, num_layers=2, bidirectional=True, proj_size=2, dtype="float64", seed=0),
        lstmfast.GRU(2, 4, dtype="float64", seed=0),
        lstmfast.LayerNormLSTM(2, 4, dtype="float64", seed=0),
        lstmfast.RNN(2, 4, bidirectional=True, dtype="float64", seed=0),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_finite_differences(layer: Any, loss: str, each_step: bool) -> None:
    head = Dense(layer._layout.features, 3, losses.ACTIVATIONS[loss], dtype="float64", seed=1)
    model = Model(layer, head, each_step=each_step, skipped=2 if each_step else 0)
    given = batch(each_step, 3 if loss == "cross_entropy" else 0)
    measure = losses.chosen(loss, head)
    passed = model.forward(given, np.random.default_rng(0))
    _, dz = measure(passed.z, given.target, given.weight)
    gradients = model.backward(passed, dz)
    parts: tuple[Any, ...] = model.parts
    for part, found in zip(parts, gradients, strict=True):
        for name, gradient in found.items():
            before, direction = part.parameters[name], random(gradient.shape, np.float64, seed=3)
            slopes = []
            for step in (1e-6, -1e-6):
                part.update({name: before + step * direction})
                slopes.append(measure(model.logits(given), given.target, given.weight)[0] / (2 * step))
            part.update({name: before})
            assert sum(slopes) == pytest.approx(float((gradient * direction).sum()), rel=1e-6, abs=1e-9), name


def test_one_step_is_adams_of_the_formula() -> None:
    """A cell that forgets: h = tanh(w x), p = v h + b. One window, one step of one number, all by hand."""
    layer = lstmfast.RNN(1, 1, dtype="float64", seed=0)
    head = Dense(1, 1, dtype="float64", seed=1)
    layer.update({"weight_hh_l0": [[0.0]], "bias_ih_l0": [0.0], "bias_hh_l0": [0.0], "weight_ih_l0": [[0.5]]})
    head.update({"weight": [[2.0]], "bias": [0.1]})
    x, target = 0.7, 3.0
    h = np.tanh(0.5 * x)
    dp = 2 * (2 * h + 0.1 - target)
    dw = dp * 2 * (1 - h * h)
    wanted = {"v": dp * h, "b": dp, "w": dw * x, "c": dw}
    data = Windows([[x]], [[target]], 1)
    history = fit(layer, head, data, settings=Settings(epochs=1, learning_rate=0.01, max_norm=float("inf")))
    assert history.train_loss == [pytest.approx((2 * h + 0.1 - target) ** 2, rel=1e-14)]

    other_layer, other_head = (
        lstmfast.RNN(1, 1, dtype="float64", seed=0),
        Dense(1, 1, dtype="float64", seed=1),
    )
    other_layer.update({"weight_hh_l0": [[0.0]], "bias_ih_l0": [0.0], "bias_hh_l0": [0.0]})
    other_layer.update({"weight_ih_l0": [[0.5]]})
    other_head.update({"weight": [[2.0]], "bias": [0.1]})
    of_layer = {
        "weight_ih_l0": [[wanted["w"]]],
        "weight_hh_l0": [[0.0]],
        "bias_ih_l0": [wanted["c"]],
        "bias_hh_l0": [wanted["c"]],
    }
    adam = Adam(other_layer, other_head, learning_rate=0.01)
    adam.step(of_layer, {"weight": [[wanted["v"]]], "bias": [wanted["b"]]})
    for name, found in weights(layer, head).items():
        np.testing.assert_allclose(found, weights(other_layer, other_head)[name], rtol=1e-12, err_msg=name)
