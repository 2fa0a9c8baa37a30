"""The numbers in the pictures: each is what lstmfast computes. None is typed in.

A name here is that of a picture; what its function returns is drawn, and kept in the file as well, so that
pictures that no longer show what the code computes are found without drawing them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

import lstmfast
from lstmfast._demo import gradients

Numbers: TypeAlias = dict[str, list[float]]

# One cell with one unit, for the two pictures of one step; docs/how-it-works.md has the same.
WEIGHTS: dict[str, Any] = {
    "weight_ih_l0": [[1.0], [0.5], [1.0], [0.5]],  # of i, f, g, o
    "weight_hh_l0": [[0.5], [1.0], [1.0], [-1.0]],
    "bias_ih_l0": [0.0, 1.0, 0.0, 1.0],
    "bias_hh_l0": [0.0, 0.0, 0.0, 0.0],
}
X, H, C = 1.0, -0.5, 0.8  # what the step reads: its input, and the state before it
STEPS = 100


def sigmoid(z: float) -> float:
    """The curve of i, f and o."""
    return float(1 / (1 + np.exp(-z)))


def step() -> Numbers:
    """One step of one unit, forward and back; a gradient of 1 arrives at h' and at c'.

    With one row, one step and one unit, the gradient of a bias is that of its gate's sum z.
    """
    cell = lstmfast.LSTM(1, 1, dtype="float64")
    cell.load_state_dict(WEIGHTS)
    before = np.full((1, 1, 1), H), np.full((1, 1, 1), C)
    _, (h, c), tape = cell.forward(np.full((1, 1, 1), X), before)
    grads = cell.backward(tape, None, (np.ones_like(h), np.ones_like(c)))
    columns = (WEIGHTS[name] for name in WEIGHTS)
    z = [
        float(np.ravel(w)[0]) * X + float(np.ravel(u)[0]) * H + b for w, u, b, _ in zip(*columns, strict=True)
    ]
    dh, dc = grads.state
    return {
        "before": [X, H, C],
        "gates": [sigmoid(z[0]), sigmoid(z[1]), float(np.tanh(z[2])), sigmoid(z[3])],
        "after": [h.item(), c.item()],
        "dz": grads.parameters["bias_ih_l0"].tolist(),
        "dbefore": [grads.x.item(), dh.item(), dc.item()],
    }


def vanishing() -> Numbers:
    """What is left of a loss's gradient at earlier steps: the curves of `lstmfast demo`."""
    return {
        f"{curve.cell}, {curve.weights}": curve.norm.tolist()
        for curve in gradients.curves(seed=0)
        if not curve.larger
    }


def forgetting() -> Numbers:
    """The gradient at c of every step, by where forget gates begin."""
    x = np.random.default_rng(0).standard_normal((STEPS + 1, 1))
    found: Numbers = {}
    for bias in (0, 1, 3, 5):
        lstm = lstmfast.LSTM(1, 32, dtype="float64", seed=0, forget_bias=bias)
        flow = lstmfast.gradient_flow(lstm, x, lambda y: (0.0, np.ones_like(y)))
        assert flow.c is not None
        found[f"{bias}"] = (flow.c[:-1] / flow.c[-2]).tolist()  # at the last step c is not read but through h
    return found


def tape() -> Numbers:
    """What a tape keeps, in numbers for each unit of each step and row, without and with `recompute`."""
    T, B, hidden = 100, 8, 128
    found: Numbers = {}
    for kind in (lstmfast.LSTM, lstmfast.GRU, lstmfast.RNN):
        layer = kind(64, hidden, seed=0)
        x = np.zeros((T, B, 64), np.float32)
        found[kind.__name__] = [
            layer.forward(x, recompute=recompute)[2].nbytes / (4 * T * B * hidden)
            for recompute in (False, True)
        ]
    return found


def rounding() -> Numbers:
    """The largest error of y at each step, for each kind of smaller weights."""
    lstm = lstmfast.LSTM(40, 128, seed=0)
    x = np.random.default_rng(0).uniform(-1, 1, (300, 4, 40)).astype(np.float32)
    whole, _ = lstm(x)
    return {
        kind: np.abs(lstm.quantize(kind)(x)[0].astype(float) - whole).max(axis=(1, 2)).tolist()
        for kind in ("float16", "bfloat16", "int8")
    }


PICTURES: dict[str, Callable[[], Numbers]] = {
    "forward": step,
    "backward": step,
    "vanishing": vanishing,
    "forgetting": forgetting,
    "tape": tape,
    "rounding": rounding,
    "panels": dict,
    "loop": dict,
    "chunks": dict,
}
