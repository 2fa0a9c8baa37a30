"""Dropout between layers: what is dropped, and that gradients go through the very network that ran.

How it is asked for (seeds, generators, when nothing is drawn) is in layers/test_tapes.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmfast

from ...core_helpers import Model, assert_close
from ...helpers import ISAS, Array, assert_same_bits, make, parts, random, random_x
from .helpers import CELLS, TIMES, arguments, features_of, make_cell, run, times_of, truth


def masks_of(model: Model, T: int, B: int, seed: int) -> Array:
    """What the documentation says is multiplied with outputs of all layers but the last, [L-1, T, B, D*S]."""
    shape = (model.num_layers - 1, T, B, features_of(model))
    kept = np.random.default_rng(seed).random(shape, dtype=np.float32).astype("float64") >= model.dropout
    return kept / (1 - model.dropout) if model.dropout < 1 else np.zeros(shape)


# The numbers.


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("layers", "p"), [(2, 0.3), (3, 0.1), (3, 0.75), (2, 1.0)])
def test_reference(cell: str, times: str, bidirectional: bool, layers: int, p: float) -> None:
    T, B = 9, 5
    for batch_first in (False, True):
        options: dict[str, Any] = {"num_layers": layers, "bidirectional": bidirectional, "dropout": p}
        model = make_cell(cell, 3, 7, dtype="float64", batch_first=batch_first, **options)
        given, cut = arguments(model, T, B), times_of(times, T, B)
        expected = truth(model, **given, masks=masks_of(model, T, B, 4), **cut)
        assert_close(run(model, **given, seed=4, **cut), expected, f"batch_first={batch_first}")


@pytest.mark.parametrize("cell", CELLS)
def test_a_sequence_alone_is_a_batch_of_one(cell: str) -> None:
    model = make_cell(cell, 3, 7, num_layers=3, bidirectional=True, dropout=0.4)
    given = arguments(model, 9, 1)
    batch = run(model, **given, seed=4)
    alone = {name: parts(value) for name, value in given.items()}
    squeezed: dict[str, Any] = {
        name: tuple(part[:, 0] for part in arrays) if isinstance(given[name], tuple) else arrays[0][:, 0]
        for name, arrays in alone.items()
    }
    expected = {name: array if name.startswith("d ") else array[:, 0] for name, array in batch.items()}
    assert_same_bits(run(model, **squeezed, seed=4), expected)


# What is dropped. A layer that hands on what it reads shows the masks themselves.


def transparent(p: float, layers: int = 2, units: int = 64, dtype: str = "float64") -> Any:
    """An RNN of ones: layer 0 gives 1 for x = 1, every other layer gives what it reads."""
    model = lstmfast.RNN(1, units, layers, "relu", False, dropout=p, dtype=dtype, seed=0)
    weights = {name: np.zeros(array.shape) for name, array in model.parameters.items()}
    weights["weight_ih_l0"][:] = 1
    for layer in range(1, layers):
        weights[f"weight_ih_l{layer}"][:] = np.eye(units)
    model.update(weights)
    return model


def dropped(p: float, T: int = 40, B: int = 40, seed: Any = 0, **options: Any) -> Array:
    """y of such a network, whose every number is the product of its masks."""
    model = transparent(p, **options)
    y: Array = model.forward(np.ones((T, B, 1)), seed=seed)[0]
    return y


@pytest.mark.parametrize("p", [0.05, 0.1, 0.25, 0.5, 0.8, 0.95])
def test_share_of_what_is_kept(p: float) -> None:
    """Of n = 102 400 numbers (1 - p) n are kept, give or take five standard deviations: p to 0.008."""
    y = dropped(p)
    assert set(np.unique(y)) == {0.0, 1 / (1 - p)}
    deviation = np.sqrt(p * (1 - p) / y.size)
    assert abs((y > 0).mean() - (1 - p)) < 5 * deviation
    # What is kept is so much larger that the mean stays; its deviation is larger as much.
    assert abs(y.mean() - 1) < 5 * deviation / (1 - p)


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2)])
def test_every_number_is_dropped_by_itself(axes: tuple[int, ...]) -> None:
    """Means over some axes scatter as those of independent numbers do, not as of one mask for all of a row.

    Of m means the sum of squares over the variance has mean m and variance 2 m, nearly.
    """
    p = 0.3
    kept = dropped(p) > 0
    means = kept.mean(axis=axes)
    variance = p * (1 - p) / (kept.size / means.size)
    m = means.size
    assert abs(((means - (1 - p)) ** 2).sum() / variance - m) < 5 * np.sqrt(2 * m)


def test_every_gap_has_masks_of_its_own() -> None:
    """After two gaps what is left was kept twice; the last layer's own outputs are not dropped."""
    p, n = 0.5, 40 * 40 * 64
    y = dropped(p, layers=3)
    assert set(np.unique(y)) == {0.0, 4.0}
    assert abs((y > 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / n)
    assert (dropped(p, layers=1) == 1).all()


def test_what_is_kept_is_what_backward_goes_through(dtype: str) -> None:
    """y is mask times x here, and so dx is mask times dy."""
    model = transparent(0.4, dtype=dtype)
    y, _, tape = model.forward(np.ones((20, 6, 1)), seed=2)
    dy = random(y.shape, dtype, seed=1)
    grads = model.backward(tape, dy)
    np.testing.assert_allclose(
        grads.x[..., 0], (y * dy).sum(axis=2), rtol=1e-5 if dtype == "float32" else 1e-13
    )


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_dropped_is_zero_unless_it_is_no_number(cell: str) -> None:
    """With p = 1 the last layer reads zeros, no gradient goes below; but NaN and infinity stay in sight."""
    model = make_cell(cell, 3, 7, num_layers=2, bidirectional=True, dropout=1.0)
    x = random_x(model, 9, 4)
    y, _, tape = model.forward(x)
    nowhere = x.copy()
    nowhere[2, 1] = np.nan
    spoilt = model.forward(nowhere)[0]
    assert np.isnan(spoilt[:, 1]).all()
    assert_same_bits(np.delete(spoilt, 1, axis=1), np.delete(y, 1, axis=1))
    dy = random(y.shape, seed=3)
    grads = model.backward(tape, dy)
    assert (grads.x == 0).all()
    for name, gradient in grads.parameters.items():
        # Of the last layer's weights those that see zeros alone are without a gradient, too.
        assert (gradient == 0).all() == ("_l0" in name or name.startswith("weight_ih")), name
    dy[4, 2] = np.inf
    spoilt = model.backward(tape, dy).x
    assert np.isnan(spoilt[:, 2]).any()
    assert (np.delete(spoilt, 2, axis=1) == 0).all()


# Bits.


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("times", TIMES)
def test_isas(cell: str, dtype: str, times: str) -> None:
    options: dict[str, Any] = {"num_layers": 3, "bidirectional": True, "dropout": 0.3, "dtype": dtype}
    results = []
    for isa in ISAS:
        model = make_cell(cell, 5, 33, isa=isa, **options)
        results.append(run(model, **arguments(model, 11, 6), seed=4, **times_of(times, 11, 6)))
    for result in results[1:]:
        assert_same_bits(result, results[0])


SHARED = {  # by what threads share
    "rows": {"T": 12, "B": 13, "I": 16, "H": 48},
    "directions": {"T": 160, "B": 1, "I": 9, "H": 33, "bidirectional": True},
    "panels": {"T": 12, "B": 1, "I": 3, "H": 253},
}


@pytest.mark.parametrize("cell", ["lstm", "lstm projected"])
@pytest.mark.parametrize("times", ["plain", "lengths and reset"])
@pytest.mark.parametrize("shape", SHARED.values(), ids=SHARED.keys())
def test_threads(threads: None, cell: str, times: str, shape: dict[str, int]) -> None:
    T, B, bidirectional = shape["T"], shape["B"], bool(shape.get("bidirectional"))
    model = make_cell(cell, shape["I"], shape["H"], num_layers=2, bidirectional=bidirectional, dropout=0.3)
    given, cut = arguments(model, T, B), times_of(times, T, B)
    lstmfast.set_num_threads(1)
    one = run(model, **given, seed=4, **cut)
    for count in (2, 3):
        lstmfast.set_num_threads(count)
        for _ in range(3):  # a short call is shared only if one came just before
            assert_same_bits(run(model, **given, seed=4, **cut), one, f"{count} threads: ")


def test_every_forward_draws_anew_from_a_generator(kind: str) -> None:
    """Two passes with one generator are those of the two seeds' masks one after the other, gradients too."""
    model = make(kind, 3, 5, num_layers=2, dropout=0.5, dtype="float64")
    given = arguments(model, 6, 4)
    ours, theirs = np.random.default_rng(3), np.random.default_rng(3)
    for _ in range(2):
        kept = theirs.random((1, 6, 4, 5), dtype=np.float32) >= 0.5
        assert_close(run(model, **given, seed=ours), truth(model, **given, masks=kept * 2.0), "")
