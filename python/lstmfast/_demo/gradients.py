"""Gradients on their way back through time: what an RNN loses, what it blows up, what an LSTM keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstmfast import LSTM, RNN, gradient_flow
from lstmfast._base.kinds import class_named

STEPS = 100
HIDDEN = 32
LARGER = 8.0  # factor on the recurrent weights
FORGET_BIAS = 3.0  # sigmoid(3) = 0.95: forget gates that start nearly open


@dataclass(frozen=True)
class Curve:
    """The gradient's norm after each time step of one network."""

    cell: str  # "RNN" or "LSTM"
    larger: bool  # recurrent weights
    open_gates: bool  # forget gates of an LSTM
    norm: NDArray[np.float64]  # [STEPS + 1], relative to the last

    @property
    def weights(self) -> str:
        """What is special about the weights."""
        forget = [f"forget bias + {FORGET_BIAS:g}"] if self.open_gates else []
        larger = [f"recurrent weights x {LARGER:g}"] if self.larger else []
        return ", ".join(forget + larger) or "ordinary weights"

    @property
    def at_start(self) -> float:
        """What is left of the gradient (or has become of it) `STEPS` steps before the loss."""
        return float(self.norm[0])


def curves(seed: int) -> list[Curve]:
    """Follow the gradient of one loss at the last step through random networks of the same size.

    The input is white noise and the loss is the sum of the last outputs. float64, so that what vanishes can
    be followed further than float32 reaches.
    """
    x = np.random.default_rng(seed).standard_normal((STEPS + 1, 1))
    found = []
    for cell, larger, open_gates in [
        ("RNN", False, False),
        ("RNN", True, False),
        ("LSTM", False, False),
        ("LSTM", False, True),
        ("LSTM", True, True),
    ]:
        norm = gradient_flow(_network(cell, larger, open_gates, seed), x, _sum).norm
        found.append(Curve(cell, larger, open_gates, norm / norm[-1]))
    return found


def _network(cell: str, larger: bool, open_gates: bool, seed: int) -> LSTM | RNN:
    """Return one layer with PyTorch's usual random weights, changed as asked."""
    model: LSTM | RNN = class_named(cell)(1, HIDDEN, dtype="float64", seed=seed)
    weights = model.state_dict()
    if larger:
        weights["weight_hh_l0"] *= LARGER
    if open_gates:
        weights["bias_ih_l0"][HIDDEN : 2 * HIDDEN] += FORGET_BIAS  # gates stand in the order i, f, g, o
    model.load_state_dict(weights)
    return model


def _sum(y: NDArray[Any]) -> tuple[float, NDArray[Any]]:
    return float(y.sum()), np.ones_like(y)
