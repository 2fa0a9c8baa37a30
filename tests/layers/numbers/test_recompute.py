"""forward(recompute=True): a tape without gates, from which backward makes the same bits."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import lstmfast

from ...helpers import assert_same_bits
from .helpers import CELLS, TIMES, arguments, make_cell, run, times_of


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_same_bits(cell: str, times: str, dtype: str, layers: int) -> None:
    T, B = 9, 5
    for bidirectional, dropout, bias in itertools.product((False, True), (0.0, 0.4), (False, True)):
        options: dict[str, Any] = {"bidirectional": bidirectional, "dropout": dropout, "bias": bias}
        model = make_cell(cell, 3, 21, dtype=dtype, num_layers=layers, batch_first=dropout > 0, **options)
        given, cut = arguments(model, T, B), times_of(times, T, B)
        kept, anew = (run(model, **given, **cut, seed=4, recompute=recompute) for recompute in (False, True))
        assert_same_bits(anew, kept, f"{options}: ")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("times", TIMES)
def test_same_bits_in_several_chunks(cell: str, times: str, isa: str) -> None:
    """Gates are made anew for 512 KiB at a time, which is 12 steps of an LSTM here and 49 of an RNN."""
    T, B = 60, 41
    model = make_cell(cell, 6, 65, isa=isa, num_layers=2, bidirectional=True)
    given, cut = arguments(model, T, B), times_of(times, T, B)
    kept, anew = (run(model, **given, **cut, recompute=recompute) for recompute in (False, True))
    assert_same_bits(anew, kept)


SHARED = {  # by what threads share
    "rows": {"T": 12, "B": 13, "I": 16, "H": 48},
    "directions": {"T": 160, "B": 1, "I": 9, "H": 33, "bidirectional": True},
    "panels": {"T": 12, "B": 1, "I": 3, "H": 253},
}


@pytest.mark.parametrize("cell", ["lstm", "lstm projected", "rnn_tanh"])
@pytest.mark.parametrize("times", ["plain", "lengths and reset"])
@pytest.mark.parametrize("shape", SHARED.values(), ids=SHARED.keys())
def test_same_bits_with_threads(threads: None, cell: str, times: str, shape: dict[str, int]) -> None:
    T, B, bidirectional = shape["T"], shape["B"], bool(shape.get("bidirectional"))
    model = make_cell(cell, shape["I"], shape["H"], num_layers=2, bidirectional=bidirectional)
    given, cut = arguments(model, T, B), times_of(times, T, B)
    lstmfast.set_num_threads(1)
    kept = run(model, **given, **cut)
    for count in (1, 2, 3):
        lstmfast.set_num_threads(count)
        for _ in range(3):  # a short call is shared only if one came just before
            assert_same_bits(run(model, **given, **cut, recompute=True), kept, f"{count} threads: ")


@pytest.mark.parametrize("cell", CELLS)
def test_nan_and_infinity_come_again(cell: str) -> None:
    model = make_cell(cell, 3, 21, num_layers=2)
    given = arguments(model, 9, 5)
    given["x"][3, 1], given["x"][5, 2] = np.nan, np.inf
    kept, anew = (run(model, **given, recompute=recompute) for recompute in (False, True))
    assert np.isnan(kept["y"]).any()
    assert_same_bits(anew, kept)


@pytest.mark.parametrize("cell", CELLS)
def test_a_tape_may_be_used_again(cell: str) -> None:
    """Making the gates anew leaves the tape, x and y as they were."""
    model = make_cell(cell, 3, 21, num_layers=2, bidirectional=True, dropout=0.3)
    given = arguments(model, 9, 5)
    cut: dict[str, Any] = times_of("lengths and reset", 9, 5)
    x, state, dy, dstate = given.values()
    before = x.copy()
    y, _, tape = model.forward(x, state, **cut, recompute=True, seed=4)
    kept = y.copy()
    first = model.backward(tape, dy, dstate)
    other = model.forward(x + 1, state, recompute=True)
    model.backward(other[2], dy)
    again = model.backward(tape, dy, dstate)
    assert_same_bits([again.x, again.state, again.parameters], [first.x, first.state, first.parameters])
    assert_same_bits([x, y], [before, kept])
