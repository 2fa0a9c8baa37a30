"""Weights are updated so that the error on a real series falls."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lstmfast
from lstmfast.training import Adam, Dense, clip_global_norm, cross_entropy, mean_squared_error


def test_error_on_a_real_series_falls_far_below_the_naive_forecast() -> None:
    _, numbers = lstmfast.datasets.sunspots()
    series = (numbers / 100).astype(np.float32)[:, np.newaxis]
    x, target = series[:-1], series[1:]  # from all years up to one, forecast the next
    naive = float(np.mean((target - x) ** 2))  # "same as last year"

    lstm, head = lstmfast.LSTM(1, 16, seed=0), Dense(16, 1, seed=0)
    adam = Adam(lstm, head, learning_rate=0.02)
    losses = []
    for _ in range(150):
        h, _, lstm_tape = lstm.forward(x)
        p, head_tape = head.forward(h)
        loss, dp = mean_squared_error(p, target)
        losses.append(loss)
        head_grads = head.backward(head_tape, dp)
        lstm_grads = lstm.backward(lstm_tape, head_grads.x)
        gradients, _ = clip_global_norm(lstm_grads.parameters, head_grads.parameters, max_norm=1.0)
        adam.step(*gradients)
    assert losses[0] > naive  # it starts worse
    assert np.mean((head(lstm(x)[0]) - target) ** 2) < naive / 3  # seeds 0 to 3 reach naive / 4 to naive / 5
    assert losses[-1] < losses[75] < losses[0]


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_rises_of_a_real_series_are_learnt(activation: str) -> None:
    _, numbers = lstmfast.datasets.sunspots()
    x = (numbers / 100).astype(np.float32)[:-1, np.newaxis]
    rises = np.diff(numbers) > 0
    share = rises.mean()
    naive = -(share * math.log(share) + (1 - share) * math.log(1 - share))  # of always saying "share"

    lstm, head = (
        lstmfast.LSTM(1, 16, seed=1),
        Dense(16, 1 if activation == "sigmoid" else 2, activation, seed=1),
    )
    target = rises[:, np.newaxis] if activation == "sigmoid" else rises.astype(int)
    adam = Adam(lstm, head, learning_rate=0.02)
    loss = math.inf
    for _ in range(150):
        h, _, lstm_tape = lstm.forward(x)
        _, head_tape = head.forward(h)
        loss, gradient = cross_entropy(head_tape, target)
        head_grads = head.backward(head_tape, gradient)
        lstm_grads = lstm.backward(lstm_tape, head_grads.x)
        gradients, _ = clip_global_norm(lstm_grads.parameters, head_grads.parameters, max_norm=1.0)
        adam.step(*gradients)
    assert loss < 0.4 * naive  # seeds 0 to 3 reach 0.25 to 0.29
