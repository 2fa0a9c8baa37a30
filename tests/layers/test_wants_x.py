"""`backward(..., wants_x=False)` leaves out dloss/dx, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import CELLS, assert_same_bits, make, parts, random, random_call

every_cell = pytest.mark.parametrize(("kind", "proj_size"), CELLS)


@every_cell
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 2, "bidirectional": True, "dropout": 0.3},
        {"batch_first": True, "bias": False},
        {"num_layers": 2, "recurrent_dropout": 0.3, "dtype": "float64"},
    ],
    ids=["plain", "two ways", "batch first", "dropped weights"],
)
def test_all_other_gradients_stay(kind: str, proj_size: int, options: Any) -> None:
    model = make(kind, 3, 6, proj_size=proj_size, **options)
    x, state, dy, dstate = random_call(model, 5, 4)
    for said in ({}, {"lengths": [5, 1, 3, 2]}, {"mask": random(x.shape[:2]) > 0}):
        _, _, tape = model.forward(x, state, seed=0, **said)
        whole = model.backward(tape, dy, dstate)
        without: Any = model.backward(tape, dy, dstate, wants_x=False)
        assert without.x is None
        assert whole.x.shape == x.shape
        assert_same_bits(parts(without.state), parts(whole.state))
        assert_same_bits(without.parameters, whole.parameters)


def test_layer_norm_and_variants() -> None:
    for model in (
        lstmfast.LayerNormLSTM(3, 6, seed=0),
        lstmfast.LSTM(3, 6, peephole=True, seed=0),
        lstmfast.GRU(3, 6, reset_after=False, seed=0),
    ):
        x, state, dy, dstate = random_call(model, 5, 4)
        _, _, tape = model.forward(x, state)
        whole: Any = model.backward(tape, dy, dstate)
        without: Any = model.backward(tape, dy, dstate, wants_x=False)
        assert without.x is None
        assert_same_bits(without.parameters, whole.parameters)


@pytest.mark.parametrize("value", [None, 0, "no"])
def test_it_is_a_flag(value: Any) -> None:
    lstm = lstmfast.LSTM(2, 3, seed=0)
    y, _, tape = lstm.forward(np.zeros((4, 2, 2), np.float32))
    with pytest.raises(TypeError, match="wants_x: expected"):
        lstm.backward(tape, y, wants_x=value)
