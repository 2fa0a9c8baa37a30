"""A new kind is one entry and its classes: all that asks for kinds then knows it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast._base import kinds
from lstmfast._base.kinds import Cell, Kind
from lstmfast._base.states import LoneState
from lstmfast._files.loading import load
from lstmfast._layers.recurrent import Recurrent
from lstmfast._small.quantized import Quantized

from ..helpers import assert_same_bits, random

# What the core has already, under another name and without the other choice.
TOY = Kind(
    "Rectified",
    cells=(Cell("rnn_relu"),),
    gates=1,
    kept_gates=0,
    states=("h",),
    projects=False,
    defaults={
        "num_layers": 1,
        "bias": True,
        "batch_first": False,
        "dropout": 0.0,
        "bidirectional": False,
        "dtype": "float32",
    },
    dtypes=("float32",),
    smaller=("float16",),
)


class Rectified(LoneState, Recurrent[Any, Any]):
    _KIND = TOY

    def __init__(self, input_size: int, hidden_size: int, *, seed: int, **options: Any) -> None:
        config = TOY.defaults | {"input_size": input_size, "hidden_size": hidden_size} | options  # type: ignore[operator]
        self._configure(config, None)
        self._initialise(seed)


class QuantizedRectified(LoneState, Quantized[Any, Any, Rectified]):
    _KIND = TOY


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_classes", dict(kinds._classes))
    kinds.register(Rectified)
    kinds.register(QuantizedRectified)


@pytest.fixture
def toy() -> Rectified:
    return Rectified(3, 5, num_layers=2, seed=0)


def known(**options: Any) -> lstmfast.RNN:
    """The same of a kind that is there."""
    return lstmfast.RNN(3, 5, 2, nonlinearity="relu", seed=0, **options)


X = random((7, 2, 3))


def test_it_computes_what_its_cell_does(toy: Rectified) -> None:
    assert repr(toy) == "Rectified(3, 5, num_layers=2)"
    twin = known()
    for ours, theirs in zip(toy(X), twin(X), strict=True):
        assert_same_bits(ours, theirs)
    y, _, tape = toy.forward(X)
    _, _, twins_tape = twin.forward(X)
    assert_same_bits(toy.backward(tape, y).x, twin.backward(twins_tape, y).x)


def test_it_has_the_dtypes_of_its_entry() -> None:
    with pytest.raises(ValueError, match=r"^dtype: expected 'float32', got float64$"):
        Rectified(3, 5, seed=0, dtype="float64")


def test_it_streams(toy: Rectified) -> None:
    stream = toy.stream(2)
    assert_same_bits(np.concatenate([stream.step(x)[np.newaxis] for x in X]), toy(X)[0])


def test_it_is_saved_and_pickled(toy: Rectified, tmp_path: Path) -> None:
    toy.save(tmp_path / "toy")
    for again in (load(tmp_path / "toy"), pickle.loads(pickle.dumps(toy))):
        assert type(again) is Rectified
        assert_same_bits(again(X)[0], toy(X)[0])


def test_it_is_quantized_to_what_its_entry_says(toy: Rectified, tmp_path: Path) -> None:
    small = toy.quantize("float16")
    assert type(small) is QuantizedRectified
    assert type(small.dequantize()) is Rectified
    assert_same_bits(small(X)[0], known().quantize("float16")(X)[0])
    small.save(tmp_path / "small")
    assert type(load(tmp_path / "small")) is QuantizedRectified
    assert lstmfast.compare(toy, small, X).y_max.shape == (7,)
    with pytest.raises(ValueError, match=r"^kind: expected 'float16', got 'int8'"):
        toy.quantize("int8")
    with pytest.raises(TypeError, match=r"made by Rectified\.quantize"):
        QuantizedRectified()


def test_one_that_pytorch_has_not(toy: Rectified) -> None:
    for call in (toy.to_torch, lambda: Rectified.from_torch(object())):
        with pytest.raises(TypeError, match="expected a kind that PyTorch has, got Rectified"):
            call()


def test_another_kind_is_another_form(toy: Rectified) -> None:
    with pytest.raises(ValueError, match=r"cell='Rectified'.*cell='RNN'"):
        lstmfast.compare(toy, known(), X)


def test_entries_are_complete() -> None:
    """What is asked of the list by one name can be asked by the others."""
    names = [kind.name for kind in kinds.KINDS]
    assert len(set(names)) == len(names)
    cells = [cell for kind in kinds.KINDS for cell in kind.cells]
    assert len({cell.name for cell in cells}) == len(cells)
    assert len(kinds.CELLS_BY_MODE) == sum(cell.mode is not None for cell in cells)
    for kind in kinds.KINDS:
        assert kinds.BY_NAME[kind.name] is kind
        assert kinds.class_named(kind.name) is getattr(lstmfast, kind.name)
        assert kinds.class_named(kind.name)._KIND is kind
        if kind.smaller:
            assert kinds.class_named(kinds.QUANTIZED + kind.name)._KIND is kind
        assert not kind.options or "direction" in kind.options
        assert ("proj_size" in kind.defaults) is kind.projects
        assert set(kind.choices) <= set(kind.defaults)
        for cell in kind.cells:
            assert kind.cell(cell.choices) is cell
            assert kinds.BY_CELL[cell.name] is kind
            assert cell.mode is None or kinds.CELLS_BY_MODE[cell.mode] is cell
