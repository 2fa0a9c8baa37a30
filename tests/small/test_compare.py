"""compare: its numbers against plain NumPy, and what it refuses to compare."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lstmfast import LSTM, RNN, Comparison, compare
from lstmfast._small import compare as _compare
from lstmfast._small.comparison import Error

from ..helpers import (
    CELLS,
    DTYPES,
    ISAS,
    KINDS,
    Array,
    has_memory,
    make,
    parts,
    random,
    random_state,
    random_x,
)

pytestmark = pytest.mark.usefixtures("briefly")

WEIGHT_DTYPES = ("float16", "bfloat16", "int8")


def changed(model: Any, seed: int = 5, size: float = 1e-3) -> Any:
    """A layer like `model` with slightly other weights."""
    other = copy.copy(model)
    generator = np.random.default_rng(seed)
    other.load_state_dict(
        {
            name: array + size * generator.standard_normal(array.shape)
            for name, array in model.parameters.items()
        }
    )
    return other


def filled(value: Any) -> Any:
    """A layer of one unit and no bias, relu(value * x + 0 * h)."""
    model = RNN(1, 1, nonlinearity="relu", bias=False)
    model.load_state_dict({"weight_ih_l0": [[value]], "weight_hh_l0": [[0.0]]})
    return model


def check(report: Comparison, first: Any, second: Any, x: Array, state: Any = None, **cuts: Any) -> None:
    """Compare a report with differences taken number by number, from calls of both layers."""
    y_1, end_1 = first(x, state, **cuts)
    y_2, end_2 = second(x, state, **cuts)
    batched = x.ndim == 3
    if batched and first.batch_first:
        y_1, y_2 = y_1.swapaxes(0, 1), y_2.swapaxes(0, 1)
    T = len(y_1)
    B = y_1.shape[1] if batched else 1
    y_1, y_2 = y_1.reshape(T, B, -1).astype(float), y_2.reshape(T, B, -1).astype(float)
    lengths = np.broadcast_to(T if cuts.get("lengths") is None else np.asarray(cuts["lengths"]), B)
    everything = []
    for t in range(T):
        there = [np.abs(y_1[t, b] - y_2[t, b]) for b in range(B) if t < lengths[b]]
        assert report.rows[t] == len(there)
        assert report.y_max[t] == np.max(there, initial=0.0)
        assert report.y_mean[t] == pytest.approx(np.mean(there) if there else 0.0, rel=1e-12)
        everything += there
    assert report.y_max.dtype == report.y_mean.dtype == np.float64
    assert report.rows.dtype == np.int64
    assert report.y_max.shape == report.y_mean.shape == report.rows.shape == (T,)
    assert report.max_error == np.max(everything, initial=0.0)
    assert report.y_max[report.worst_step] == report.max_error
    assert report.mean_error == pytest.approx(np.mean(everything) if everything else 0.0, rel=1e-12)

    errors = [report.h_n] if report.c_n is None else [report.h_n, report.c_n]
    for error, a, b in zip(errors, parts(end_1), parts(end_2), strict=True):
        difference = np.abs(a.astype(float) - b.astype(float))
        assert error.max == difference.max()
        assert error.mean == pytest.approx(difference.mean(), rel=1e-12)


def cuts_of(model: Any, T: int, B: int) -> Iterator[dict[str, Any]]:
    """No cuts, and each kind, and both."""
    generator = np.random.default_rng(3)
    lengths = generator.integers(0, T, B)  # so that no row has the last step
    reset = generator.random((B, T) if model.batch_first else (T, B)) < 0.3
    yield {}
    yield {"lengths": lengths}
    yield {"reset": reset}
    yield {"lengths": lengths, "reset": reset}


# Numbers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize(("kind", "proj_size"), CELLS)
def test_numbers(
    kind: str, proj_size: int, num_layers: int, bidirectional: bool, batch_first: bool, dtype: str
) -> None:
    model = make(
        kind, 3, 5, num_layers=num_layers, bidirectional=bidirectional, batch_first=batch_first,
        proj_size=proj_size, dtype=dtype,
    )  # fmt: skip
    other = changed(model)
    x = random_x(model, 7, 4)
    for state in (None, random_state(model, 4)):
        for cuts in cuts_of(model, 7, 4):
            report = compare(model, other, x, state, **cuts)
            check(report, model, other, x, state, **cuts)
            assert report.max_error > 0
            assert report.h_n.max > 0
            assert (report.c_n is None) == (not has_memory(kind))
    D = 2 if bidirectional else 1
    expected = {"T": 7, "B": 4, "I": 3, "H": 5, "P": proj_size, "L": num_layers, "D": D}
    assert dict(report.sizes) == expected


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_unbatched(kind: str, batch_first: bool) -> None:
    model = make(kind, 3, 5, num_layers=2, batch_first=batch_first)
    other = changed(model)
    x = random((7, 3))
    alone = tuple(part[:, 0] for part in parts(random_state(model, 1)))
    state = alone if has_memory(kind) else alone[0]
    marks = np.array([False, False, True, False, False, True, False])
    for given in (None, state):
        for cuts in ({}, {"lengths": 4}, {"reset": marks}, {"lengths": 4, "reset": marks}):
            report = compare(model, other, x, given, **cuts)
            check(report, model, other, x, given, **cuts)
    np.testing.assert_array_equal(report.rows, [1, 1, 1, 1, 0, 0, 0])
    assert report.sizes["B"] == 1


@pytest.mark.parametrize("half", [0, 1])
def test_half_a_state(half: int) -> None:
    model = make("lstm", 3, 5)
    other = changed(model)
    x, given = random_x(model, 4, 2), random_state(model, 2)
    state = (given[0], None) if half == 0 else (None, given[1])
    check(compare(model, other, x, state), model, other, x, state)


@pytest.mark.parametrize("seed", range(5))
def test_numbers_block_by_block(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """y is compared in blocks of whole steps, also where a block is less than one step."""
    generator = np.random.default_rng(seed)
    T, B, H = (int(n) for n in generator.integers(1, 9, 3))
    model = LSTM(2, H, seed=seed)
    other = changed(model, seed)
    x = random((T, B, 2), seed=seed)
    cuts: dict[str, Any] = {"lengths": generator.integers(0, T + 1, B)}
    reports = []
    for block in (1, B * H * 3, 10**6):
        monkeypatch.setattr(_compare, "BLOCK", block)
        reports.append(compare(model, other, x, **cuts))
        check(reports[-1], model, other, x, **cuts)
    for report in reports[1:]:
        np.testing.assert_array_equal(report.y_max, reports[0].y_max)


def test_no_row_has_a_step() -> None:
    model = make("lstm", 3, 5)
    report = compare(model, changed(model), random_x(model, 4, 2), lengths=[0, 0])
    assert (report.max_error, report.mean_error, report.worst_step) == (0.0, 0.0, 0)
    assert report.h_n == report.c_n == Error(0.0, 0.0)


@pytest.mark.parametrize(("kind", "proj_size"), CELLS)
def test_a_layer_differs_from_itself_by_nothing(kind: str, proj_size: int) -> None:
    model = make(kind, 3, 5, num_layers=2, bidirectional=True, proj_size=proj_size)
    report = compare(model, copy.deepcopy(model), random_x(model, 6, 3), random_state(model, 3))
    assert not report.y_max.any()
    assert not report.y_mean.any()
    assert (report.max_error, report.mean_error) == (0.0, 0.0)
    assert report.h_n == Error(0.0, 0.0)
    assert report.c_n == (Error(0.0, 0.0) if has_memory(kind) else None)
    assert report.ratio == 1.0


def test_layers_may_differ_in_what_does_not_change_the_shape() -> None:
    first = LSTM(3, 5, 2, bias=False, dtype="float64", isa=ISAS[0], seed=0)
    second = LSTM(3, 5, 2, dropout=0.5, isa=ISAS[-1], seed=0)
    second.load_state_dict(
        {name: first.parameters.get(name, np.zeros_like(array)) for name, array in second.parameters.items()}
    )
    x, state = random((6, 2, 3), "float64"), random_state(first, 2)
    report = compare(first, second, x, state)
    check(report, first, second, x, state)
    assert 0 < report.max_error < 1e-5  # what float32 rounds
    assert report.isa == (ISAS[0], ISAS[-1])
    assert report.kinds == ("LSTM of float64", "LSTM of float32")
    weights = 4 * 5 * (3 + 5 + 5 + 5)
    assert report.nbytes == (8 * weights, 4 * (weights + 2 * 2 * 4 * 5))
    assert report.ratio == report.nbytes[0] / report.nbytes[1]


def test_lists_are_taken() -> None:
    model = LSTM(1, 2, seed=0)
    other = changed(model)
    report = compare(model, other, [[1], [2], [3]], reset=[False, True, False])
    check(report, model, other, np.array([[1], [2], [3]]), reset=[False, True, False])


def test_nothing_is_changed() -> None:
    model = make("lstm", 3, 5)
    other = changed(model)
    x, state = random_x(model, 6, 3), random_state(model, 3)
    lengths, reset = np.array([6, 2, 3]), np.eye(6, 3, dtype=bool)
    arrays = [x, *state, lengths, reset]
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    compare(model, other, x, state, lengths=lengths, reset=reset)
    for array, old in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, old)


def test_frozen() -> None:
    report = compare(filled(1.0), filled(2.0), [[1.0]])
    assert isinstance(report, Comparison)
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.threads = 1  # type: ignore[misc]
    assert report == report
    assert report != dataclasses.replace(report)


# What is not finite ----------------------------------------------------------------------------------


def test_nan_and_infinities_of_one_layer() -> None:
    """inf * x is NaN, inf or (relu of -inf) 0."""
    x, alone = [[0.0], [1.0], [-1.0]], [True] * 3
    for layers in ((filled(1.0), filled(np.inf)), (filled(np.inf), filled(1.0))):
        report = compare(*layers, x, reset=alone)
        np.testing.assert_array_equal(report.y_max, [np.nan, np.inf, 0.0])
        np.testing.assert_array_equal(report.y_mean, report.y_max)
        assert np.isnan(report.max_error)
        assert np.isnan(report.mean_error)
        assert report.worst_step == 0
        assert report.h_n == Error(0.0, 0.0)
        only_infinite = compare(*layers, x[1:], reset=alone[1:])
        assert (only_infinite.max_error, only_infinite.mean_error) == (np.inf, np.inf)
        assert np.isnan(compare(*layers, x[:1]).h_n.max)


def test_nan_and_infinities_of_both_layers() -> None:
    report = compare(filled(np.inf), filled(np.inf), [[0.0], [1.0], [-1.0]], reset=[True] * 3)
    np.testing.assert_array_equal(report.y_max, [0, 0, 0])
    for x, expected in ((np.nan, 0.0), (np.inf, 0.0), (2.0, 2.0)):
        report = compare(filled(1.0), filled(2.0), [[x]])
        assert (report.max_error, report.h_n.max) == (expected, expected)


def test_nan_in_one_row_is_not_lost_among_others() -> None:
    report = compare(filled(1.0), filled(np.inf), [[[-1.0], [0.0], [-1.0]], [[-1.0], [-1.0], [-1.0]]])
    # After NaN comes NaN: 0 * NaN is in the next step's sum.
    np.testing.assert_array_equal(report.y_max, [np.nan, np.nan])
    assert np.isnan(report.h_n.mean)


def test_differences_that_float32_cannot_hold() -> None:
    first, second = filled(3e38), filled(1.0)
    second.load_state_dict({"weight_ih_l0": [[-3e38]], "weight_hh_l0": [[0.0]]})
    report = compare(first, second, [[[1.0], [-1.0]]])
    assert report.max_error == float(np.float32(3e38))
    wide = RNN(1, 1, nonlinearity="relu", bias=False, dtype="float64")
    wide.load_state_dict({"weight_ih_l0": [[1e300]], "weight_hh_l0": [[0.0]]})
    report = compare(wide, filled(0.0), np.full((1, 3, 1), 1e8))
    assert report.max_error == 1e300 * 1e8
    assert report.mean_error == np.inf  # three of them are more than float64 can hold


# Quantised layers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight_dtype", WEIGHT_DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(("kind", "proj_size"), CELLS)
def test_numbers_of_quantised_layers(
    kind: str, proj_size: int, batch_first: bool, dtype: str, weight_dtype: str
) -> None:
    model = make(
        kind, 3, 7, num_layers=2, bidirectional=True, batch_first=batch_first, proj_size=proj_size,
        dtype=dtype,
    )  # fmt: skip
    quantized = model.quantize(weight_dtype)
    x, state = random_x(model, 6, 4), random_state(model, 4)
    for cuts in cuts_of(model, 6, 4):
        report = compare(model, quantized, x, state, **cuts)
        check(report, model, quantized, x, state, **cuts)
        assert 0 < report.max_error < 0.1
        check(compare(quantized, model, x, state, **cuts), quantized, model, x, state, **cuts)
    cls = type(model).__name__
    assert report.kinds == (f"{cls} of {dtype}", f"Quantized{cls} of {weight_dtype}")
    assert report.nbytes == (sum(array.nbytes for array in model.parameters.values()), quantized.nbytes)
    assert report.saturated == {}


@pytest.mark.parametrize("weight_dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("kind", "proj_size"), CELLS)
def test_no_difference_from_the_dequantised_layer(kind: str, proj_size: int, weight_dtype: str) -> None:
    model = make(kind, 3, 7, num_layers=2, proj_size=proj_size)
    quantized = model.quantize(weight_dtype)
    x = random_x(model, 6, 4)
    for cuts in cuts_of(model, 6, 4):
        report = compare(quantized.dequantize(), quantized, x, random_state(model, 4), **cuts)
        assert (report.max_error, report.mean_error, report.h_n.max) == (0.0, 0.0, 0.0)


def test_int8_rows_that_are_lost() -> None:
    """int8 makes NaN of a row with an infinity, where float32 saturates: that is a difference, and said."""
    model = make("lstm", 1, 4)
    x = np.zeros((3, 2, 1), np.float32)
    x[1, 0] = np.inf
    report = compare(model, model.quantize("int8"), x)
    np.testing.assert_array_equal(np.isnan(report.y_max), [False, True, True])
    assert "nan" in str(report)


def test_saturated_weights() -> None:
    model = make("lstm", 3, 5, num_layers=2)
    weights = model.state_dict()
    weights["weight_hh_l0"][2, 3] = 1e6
    weights["weight_ih_l1"][:3, 0] = -7e4
    model.load_state_dict(weights)
    x = random_x(model, 4, 2)
    report = compare(model, model.quantize("float16"), x)
    assert report.saturated == {"weight_hh_l0": 1, "weight_ih_l1": 3}
    assert str(report).splitlines()[-1].split(maxsplit=1) == [
        "saturated",
        "weight_hh_l0 1, weight_ih_l1 3",
    ]
    for other in (model.quantize("bfloat16"), model.quantize("int8"), model):
        report = compare(model, other, x)
        assert report.saturated == {}
        assert str(report).splitlines()[-1].split() == ["saturated", "none"]
    assert compare(model.quantize("float16"), model, x).saturated == {}


@pytest.mark.parametrize("name", ["model", "quantized"])
@pytest.mark.parametrize(
    ("value", "got"),
    [(None, "None"), ("lstm", "'lstm' (str)"), (3, "3 (int)"), (LSTM, "an object of type ABCMeta")],
)
def test_no_layer(name: str, value: Any, got: str) -> None:
    layers = {"model": LSTM(2, 3), "quantized": LSTM(2, 3), name: value}
    with pytest.raises(TypeError) as caught:
        compare(**layers, x=[[1, 2]])
    assert str(caught.value) == f"{name}: expected an LSTM, a GRU or an RNN, quantised or not, got {got}"


@pytest.mark.parametrize("quantize", [False, True])
@pytest.mark.parametrize(
    ("first", "second", "expected", "got"),
    [
        (LSTM(2, 3), RNN(2, 3), "cell='LSTM'", "cell='RNN'"),
        (RNN(2, 3), LSTM(2, 3), "cell='RNN'", "cell='LSTM'"),
        (
            RNN(2, 3),
            RNN(2, 3, nonlinearity="relu"),
            "nonlinearity='tanh'",
            "nonlinearity='relu'",
        ),
        (LSTM(2, 3), LSTM(3, 3), "input_size=2", "input_size=3"),
        (LSTM(2, 3), LSTM(2, 4), "hidden_size=3", "hidden_size=4"),
        (LSTM(2, 3), LSTM(2, 3, 2), "num_layers=1", "num_layers=2"),
        (LSTM(2, 3), LSTM(2, 3, bidirectional=True), "bidirectional=False", "bidirectional=True"),
        (LSTM(2, 3, proj_size=1), LSTM(2, 3), "proj_size=1", "proj_size=0"),
        (LSTM(2, 3), LSTM(2, 3, batch_first=True), "batch_first=False", "batch_first=True"),
        (LSTM(2, 3), RNN(3, 3, 4), "cell='LSTM', input_size=2, num_layers=1",
         "cell='RNN', input_size=3, num_layers=4"),
    ],
)  # fmt: skip
def test_layers_of_other_forms(quantize: bool, first: Any, second: Any, expected: str, got: str) -> None:
    with pytest.raises(ValueError, match=r"^quantized: ") as caught:
        compare(first, second.quantize("int8") if quantize else second, np.zeros((4, 2)))
    assert str(caught.value) == f"quantized: expected a layer of model's form, {expected}, got {got}"


@pytest.mark.parametrize("shape", [(0, 2), (0, 3, 2), (4, 0, 2)])
def test_nothing_to_compare(shape: tuple[int, ...]) -> None:
    for batch_first in (False, True):
        model = LSTM(2, 3, batch_first=batch_first)
        with pytest.raises(ValueError, match=r"x: expected at least one time step and one row, got shape \("):
            compare(model, model, np.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": np.zeros((4, 3))}, ValueError, "x: expected shape"),
        ({"x": "x"}, TypeError, "x: expected an array of real numbers"),
        ({"state": np.zeros((1, 2, 3))}, TypeError, "state: expected a pair"),
        ({"state": (np.zeros((1, 2, 4)), None)}, ValueError, "state: h_0: expected shape"),
        ({"lengths": [5, 1]}, ValueError, "lengths: expected integers from 0 to 4"),
        ({"lengths": [1.0, 1.0]}, TypeError, "lengths: expected an array of integers"),
        ({"reset": np.zeros((2, 4), bool)}, ValueError, "reset: expected shape"),
        ({"reset": np.zeros((4, 2))}, TypeError, "reset: expected an array of bools"),
    ],
)
def test_arguments_of_the_call(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    model = LSTM(2, 3)
    with pytest.raises(error, match=f"^{message}"):
        compare(model, model.quantize("float16"), **({"x": np.zeros((4, 2, 2))} | arguments))
