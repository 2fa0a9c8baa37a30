"""Orders of gates: ours as PyTorch has them, those of others, and the way between."""

from __future__ import annotations

import numpy as np
import pytest

from lstmfast._base import kinds
from lstmfast._base.conventions.orders import ONNX, ONNX_QUANTIZED, OURS, Order

from ..helpers import assert_same_bits, random

H, I = 3, 4
CONVENTIONS = (
    OURS,
    ONNX,
    ONNX_QUANTIZED,
    Order({"LSTM": "gfoi", "GRU": "nzr", "RNN": "h"}, "ofi", True),
)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("kind", [kinds.LSTM, kinds.GRU, kinds.RNN])
def test_there_and_back(kind: kinds.Kind, convention: Order) -> None:
    rows = kind.gates * H
    for shape in ((rows, I), (rows, H), (rows,)):
        ours = random(shape)
        theirs = convention.written(ours, kind)
        assert theirs.shape == (shape[::-1] if convention.inputs_first else shape)
        assert theirs.flags.c_contiguous
        assert_same_bits(convention.read(theirs, kind), ours)


def test_our_own_is_as_it_is() -> None:
    weight = random((4 * H, I))
    assert_same_bits(OURS.read(weight, kinds.LSTM), weight)


def blocks(letters: str, order: str = "ifgorznh") -> np.ndarray:
    """A weight of one unit and one input, whose rows are the letters' numbers."""
    return np.array([[order.index(letter)] for letter in letters], np.float32)


@pytest.mark.parametrize(
    ("kind", "theirs", "ours"),
    [(kinds.LSTM, "iofg", "ifgo"), (kinds.GRU, "zrn", "rzn"), (kinds.RNN, "h", "h")],
)
def test_gates_of_onnx(kind: kinds.Kind, theirs: str, ours: str) -> None:
    assert_same_bits(ONNX.read(blocks(theirs), kind), blocks(ours))
    assert_same_bits(ONNX_QUANTIZED.read(blocks(theirs).T, kind), blocks(ours))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_coupled_gates(convention: Order) -> None:
    """f is left out, and becomes a number of one's choice on the way back."""
    ours = random((3 * H, I))
    theirs = convention.written(ours, kinds.LSTM, coupled=True, f=7)
    assert_same_bits(convention.read(theirs, kinds.LSTM, coupled=True), ours)
    upright = theirs.T if convention.inputs_first else theirs
    place = convention.gates["LSTM"].index("f")
    assert (upright[place * H : (place + 1) * H] == 7).all()
    assert not np.isin(7, upright[: place * H])
    assert (convention.written(ours, kinds.LSTM, coupled=True) == 0).any()


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_peepholes(convention: Order) -> None:
    for coupled, count in ((False, 3), (True, 2)):
        ours = random((count, H))
        theirs = convention.written_peepholes(ours, coupled)
        assert theirs.shape == (3 * H,)
        assert_same_bits(convention.read_peepholes(theirs, coupled), ours)
    assert_same_bits(ONNX.read_peepholes(blocks("iof")[:, 0]), blocks("ifo"))


def test_every_kind_with_gates_of_its_own_is_there() -> None:
    for convention in CONVENTIONS:
        for name, letters in convention.gates.items():
            assert sorted(letters) == sorted(OURS.gates[name])
            assert len(letters) == kinds.BY_NAME[name].gates
        assert sorted(convention.peepholes) == sorted(OURS.peepholes)
