"""Gradients of whole models, cut and projected, by finite differences: without the reference's calculus."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ...differences import central_differences
from ...helpers import everything, make, parts, random_call

T = 4
LENGTHS = [T, 2, 3, 0]
# In the rows of LENGTHS: pieces of one step; where a row begins; past its end; of no step.
RESET = np.array([[t in marked for marked in ([1, 2], [0], [1, 3], [0])] for t in range(T)])
CUTS: dict[str, dict[str, Any]] = {
    "whole": {},
    "lengths": {"lengths": LENGTHS},
    "reset": {"reset": RESET},
    "both": {"lengths": LENGTHS, "reset": RESET},
    "both, recomputed": {"lengths": LENGTHS, "reset": RESET, "recompute": True},
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
@pytest.mark.parametrize(("kind", "proj_size"), [("lstm", 0), ("lstm", 2), ("rnn_tanh", 0), ("rnn_relu", 0)])
def test_every_gradient(kind: str, proj_size: int, cut: dict[str, Any]) -> None:
    model = make(kind, 2, 3, num_layers=2, bidirectional=True, proj_size=proj_size, dtype="float64")
    x, state, dy, dstate = random_call(model, T, len(LENGTHS))
    weights = model.state_dict()
    results = everything(model, x, state, dy, dstate, **cut)
    call = {name: value for name, value in cut.items() if name != "recompute"}

    def loss() -> float:
        y, end = model(x, state, **call)
        ends = zip(parts(dstate), parts(end), strict=True)
        return float(np.sum(dy * y) + sum(np.sum(d * last) for d, last in ends))

    def loss_of_weights() -> float:
        model.load_state_dict(weights)
        return loss()

    inputs = {"dx": x} | {f"dstate {n}": part for n, part in enumerate(parts(state))}
    expected = {name: central_differences(loss, at) for name, at in inputs.items()}
    expected |= {f"d {name}": central_differences(loss_of_weights, at) for name, at in weights.items()}
    assert set(expected) == {name for name in results if name.startswith("d")}
    for name, differences in expected.items():
        np.testing.assert_allclose(results[name], differences, rtol=0, atol=1e-9, err_msg=name)
