"""compare: its numbers against plain NumPy, how it takes times, its report and its picture."""

from __future__ import annotations

import copy
import dataclasses
import os
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

import lstmfast
from lstmfast import LSTM, RNN, Comparison, compare
from lstmfast._small import compare as _compare
from lstmfast._small.comparison import Error

from ..core_helpers import run_python
from ..helpers import CELLS, DTYPES, ISAS, KINDS, Array, make, parts, random, random_state, random_x

WEIGHT_DTYPES = ("float16", "bfloat16", "int8")


@pytest.fixture(autouse=True)
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is timed but the calls that give the results."""
    monkeypatch.setattr(_compare, "TIMING", 0.0)


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
            assert (report.c_n is None) == (kind != "lstm")
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
    state = alone if kind == "lstm" else alone[0]
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
    assert report.c_n == (Error(0.0, 0.0) if kind == "lstm" else None)
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


# Times -----------------------------------------------------------------------------------------------


class Clock:
    """A clock that only calls move on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def perf_counter(self) -> float:
        return self.now

    def call(self, name: str, *durations: float) -> Callable[[], str]:
        """Take these times in turn; the last of them from then on."""
        left = list(durations)

        def run() -> str:
            self.calls.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]
            return name

        return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_compare, "time", types.SimpleNamespace(perf_counter=clock.perf_counter))
    monkeypatch.setattr(_compare, "TIMING", 0.5)
    return clock


def test_turns_are_taken(clock: Clock) -> None:
    results = _compare._measured(clock.call("A", 1 / 128), clock.call("B", 1 / 64))
    assert results == ("A", "B", (1 / 128, 1 / 64))
    assert len(clock.calls) > 20
    # Calls of one layer follow each other until 20 ms are over, then it is the other one's turn.
    assert clock.calls[:12] == ["A", "B", *"AAABB", *"AAABB"]
    assert 0.4 < clock.now <= 0.5 + 3 / 128


def test_the_least_time_is_kept(clock: Clock) -> None:
    first = clock.call("A", 0.5 / 8, 0.25 / 8, 0.125 / 8, 0.25 / 8)
    *_, (a, b) = _compare._measured(first, clock.call("B", 0.125 / 8, 0.5 / 8))
    assert (a, b) == (0.125 / 8, 0.125 / 8)


def test_slow_calls_are_not_repeated(clock: Clock) -> None:
    *_, seconds = _compare._measured(clock.call("A", 0.5), clock.call("B", 0.25))
    assert seconds == (0.5, 0.25)
    assert clock.calls == ["A", "B"]


@pytest.mark.alone
def test_times_of_a_real_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_compare, "TIMING", 0.1)
    small, large = LSTM(1, 1, seed=0), LSTM(1, 1, seed=1)
    report = compare(small, large, np.zeros((100, 1)))
    assert all(0 < seconds < 0.1 for seconds in report.seconds)
    assert report.speedup == report.seconds[0] / report.seconds[1]
    assert report.threads == lstmfast.get_num_threads()


def test_no_conversion_is_timed() -> None:
    """Each layer is called with arrays of its own dtype, whatever came."""
    seen: list[Any] = []

    class Watched(LSTM):
        def __call__(self, x: Any, state: Any = None, **options: Any) -> Any:
            seen.append((x.dtype, *(half.dtype for half in state), sorted(options)))
            return super().__call__(x, state, **options)

    first, second = Watched(2, 3, dtype="float64", seed=0), Watched(2, 3, seed=0)
    report = compare(first, second, [[1, 2], [3, 4]], ([[1, 2, 3]], [[4, 5, 6]]), lengths=2)
    assert seen == [(np.float64,) * 3 + ([],), (np.float32,) * 3 + ([],)]
    assert report.kinds == ("Watched of float64", "Watched of float32")


# The report ------------------------------------------------------------------------------------------


def example(**changes: Any) -> Comparison:
    """A comparison of made-up numbers."""
    numbers: dict[str, Any] = {
        "y_max": np.array([0.25, 1.0, 0.5]),
        "y_mean": np.array([0.125, 0.5, 0.25]),
        "rows": np.array([2, 2, 1]),
        "h_n": Error(0.75, 0.375),
        "c_n": Error(1.5, 0.03125),
        "saturated": {},
        "nbytes": (1_234_567, 400_000),
        "seconds": (2.5e-3, 1.25e-3),
        "kinds": ("LSTM of float32", "QuantizedLSTM of int8"),
        "isa": ("avx2", "avx2"),
        "threads": 2,
        "sizes": {"T": 3, "B": 2, "I": 4, "H": 5, "P": 0, "L": 1, "D": 1},
    }
    return Comparison(**(numbers | changes))


def test_the_report() -> None:
    assert str(example()) == (
        "first           LSTM of float32\n"
        "second          QuantizedLSTM of int8\n"
        "sizes           T=3, B=2, I=4, H=5, L=1, D=1\n"
        "error of y      max 1.00e+00, mean 3.00e-01, largest at step 1\n"
        "error of h_n    max 7.50e-01, mean 3.75e-01\n"
        "error of c_n    max 1.50e+00, mean 3.12e-02\n"
        "bytes           1,234,567 and 400,000: ratio 3.09\n"
        "time of a call  2.5 ms and 1.25 ms: ratio 2.00\n"
        "measured on     avx2, 2 threads\n"
        "saturated       none"
    )


def test_the_report_of_something_else() -> None:
    text = str(
        example(
            y_max=np.zeros(3),
            y_mean=np.zeros(3),
            c_n=None,
            saturated={"weight_ih_l0": 1234, "weight_hh_l0": 1},
            isa=("avx512", "scalar"),
            threads=1,
            sizes={"T": 3, "B": 2, "I": 4, "H": 5, "P": 2, "L": 1, "D": 2},
        )
    ).splitlines()
    assert len(text) == 9
    assert text[2:4] == [
        "sizes           T=3, B=2, I=4, H=5, P=2, L=1, D=2",
        "error of y      max 0.00e+00, mean 0.00e+00",
    ]
    assert text[-2:] == [
        "measured on     avx512 and scalar, 1 thread",
        "saturated       weight_ih_l0 1,234, weight_hh_l0 1",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        ((5.0, 0.01), "5 s and 0.01 s: ratio 500.00"),
        ((0.9999, 0.5), "1000 ms and 500 ms: ratio 2.00"),
        ((1e-3, 2e-3), "1 ms and 2 ms: ratio 0.50"),
        ((3.14159e-6, 1.2345e-5), "3.14 us and 12.3 us: ratio 0.25"),
        ((1e-7, 5e-8), "0.1 us and 0.05 us: ratio 2.00"),
    ],
)
def test_times_in_the_report(seconds: tuple[float, float], text: str) -> None:
    assert f"time of a call  {text}\n" in str(example(seconds=seconds))


def test_the_report_has_the_numbers() -> None:
    model = make("lstm", 3, 5)
    report = compare(model, model.quantize("int8"), random_x(model, 6, 3))
    text = str(report)
    assert report.c_n is not None
    for error in (report.h_n, report.c_n, Error(report.max_error, report.mean_error)):
        assert f"max {error.max:.2e}, mean {error.mean:.2e}" in text
    assert f"largest at step {report.worst_step}\n" in text
    assert f"{report.nbytes[0]:,} and {report.nbytes[1]:,}: ratio {report.ratio:.2f}" in text
    assert f"ratio {report.speedup:.2f}\nmeasured on     {model.isa}, " in text


# The picture -----------------------------------------------------------------------------------------


def drawn(report: Comparison) -> list[Any]:
    """The picture's three panels."""
    figure = Figure()
    report._draw(figure)
    return list(figure.axes)


def lines_of(axes: Any) -> dict[str, tuple[Array, Array]]:
    return {line.get_label(): (line.get_xdata(), line.get_ydata()) for line in axes.get_lines()}


def test_the_picture_shows_the_numbers() -> None:
    report = example()
    errors, nbytes, seconds = drawn(report)
    assert errors.get_yscale() == "log"
    lines = lines_of(errors)
    assert list(lines) == ["largest", "mean"]
    np.testing.assert_array_equal(lines["largest"], ([0, 1, 2], report.y_max))
    np.testing.assert_array_equal(lines["mean"], ([0, 1, 2], report.y_mean))
    for axes, values, words in (
        (nbytes, report.nbytes, ["1.23 MB", "0.4 MB"]),
        (seconds, report.seconds, ["2.5 ms", "1.25 ms"]),
    ):
        assert [bar.get_height() for bar in axes.patches] == list(values)
        assert [text.get_text() for text in axes.texts] == words
        assert [label.get_text() for label in axes.get_xticklabels()] == ["float32", "int8"]
        assert axes.get_ylim()[0] == 0


def test_what_has_no_place_on_the_picture() -> None:
    y_max = np.array([0.0, np.inf, 0.5, np.nan, 1.0])
    errors = drawn(example(y_max=y_max, y_mean=y_max / 2, rows=np.full(5, 2)))[0]
    lines = lines_of(errors)
    np.testing.assert_array_equal(lines["largest"][1], [np.nan, np.nan, 0.5, np.nan, 1.0])
    np.testing.assert_array_equal(lines["mean"][1], [np.nan, np.nan, 0.25, np.nan, 0.5])
    np.testing.assert_array_equal(lines["NaN or infinite"], ([1, 3], [0, 0]))


@pytest.mark.parametrize("length", [2001, 9999])
def test_groups_of_steps(length: int) -> None:
    generator = np.random.default_rng(length)
    y_max, rows = generator.random(length) + 1, generator.integers(0, 4, length)
    y_mean = y_max / 2
    lines = lines_of(drawn(example(y_max=y_max, y_mean=y_mean, rows=rows))[0])
    begins, largest = lines["largest"]
    assert 1000 <= len(begins) <= 2000
    groups = [slice(a, b) for a, b in zip(begins, [*begins[1:], length], strict=True)]
    np.testing.assert_array_equal(largest, [y_max[group].max() for group in groups])
    expected = [
        np.average(y_mean[group], weights=rows[group]) if rows[group].any() else np.nan for group in groups
    ]
    np.testing.assert_allclose(lines["mean"][1], expected, rtol=1e-12)


HEADERS = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml", "pdf": b"%PDF-", "PNG": b"\x89PNG\r\n\x1a\n"}


@pytest.mark.parametrize("suffix", HEADERS)
def test_the_picture_is_written(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.b.{suffix}"
    for way in (path, str(path), os.fsencode(path)):
        example().save_picture(way)  # type: ignore[arg-type]
        assert path.read_bytes().startswith(HEADERS[suffix])
        assert os.listdir(tmp_path) == [path.name]
        path.unlink()


ZEROS = np.zeros(3)
ODD: dict[str, dict[str, Any]] = {
    "all alike": {"y_max": ZEROS, "y_mean": ZEROS},
    "nothing there": {"y_max": ZEROS, "y_mean": ZEROS, "rows": np.zeros(3, np.int64)},
    "all NaN": {"y_max": ZEROS + np.nan, "y_mean": ZEROS + np.nan},
    "one infinity": {"y_max": np.array([0, np.inf, 0]), "y_mean": np.array([0, np.inf, 0])},
    "one step": {"y_max": ZEROS[:1] + 1, "y_mean": ZEROS[:1] + 0.5, "rows": np.ones(1, np.int64)},
    "one value": {"y_max": ZEROS + 1e-300, "y_mean": ZEROS + 1e-300},
    "least and largest": {"y_max": np.array([5e-324, 1, 1e308]), "y_mean": np.array([5e-324, 1, 9e307])},
    "many steps": {"y_max": np.arange(1e5), "y_mean": np.arange(1e5) / 2, "rows": np.ones(100_000, np.int64)},
    "far apart": {"nbytes": (1, 10**12), "seconds": (1e-7, 1e4)},
}  # fmt: skip


@pytest.mark.parametrize("changes", ODD.values(), ids=ODD)
def test_pictures_of_odd_numbers(changes: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    example(**changes).save_picture(path)
    pixels = np.asarray(imread(path))[:, :, :3]
    assert min(pixels.shape[:2]) > 400
    assert 0.001 < np.mean(pixels.min(axis=2) < 0.9) < 0.5  # ink, but not all over


def test_a_picture_of_no_difference_says_so() -> None:
    assert [text.get_text() for text in drawn(example(**ODD["all alike"]))[0].texts] == ["no difference"]
    assert not drawn(example(**ODD["all NaN"]))[0].texts


def test_the_picture_of_a_real_comparison(tmp_path: Path) -> None:
    model = make("rnn_tanh", 3, 5, bidirectional=True)
    report = compare(model, model.quantize("int8"), random_x(model, 20, 3), lengths=[20, 3, 9])
    report.save_picture(tmp_path / "picture.png")
    assert imread(tmp_path / "picture.png").ndim == 3
    np.testing.assert_array_equal(lines_of(drawn(report)[0])["largest"][1], report.y_max)


def test_nothing_global_changes(tmp_path: Path) -> None:
    program = """
import sys
import numpy as np
import lstmfast
lstm = lstmfast.LSTM(2, 3, seed=0)
report = lstmfast.compare(lstm, lstm.quantize("int8"), np.ones((4, 2)))
print(report)
assert not any(name.startswith("matplotlib") for name in sys.modules)
import matplotlib
before = dict(dict.items(matplotlib.rcParams))
assert "backend" in before
report.save_picture(sys.argv[1])
assert dict(dict.items(matplotlib.rcParams)) == before
assert "matplotlib.pyplot" not in sys.modules
"""
    run_python(program, str(tmp_path / "picture.png"))
    assert (tmp_path / "picture.png").exists()


def test_without_matplotlib(tmp_path: Path) -> None:
    program = """
import sys
sys.modules["matplotlib"] = None
import lstmfast
lstm = lstmfast.LSTM(2, 3, seed=0)
report = lstmfast.compare(lstm, lstm.quantize("int8"), [[1, 2]])
assert "QuantizedLSTM of int8" in str(report)
try:
    report.save_picture(sys.argv[1])
except ImportError as error:
    assert str(error) == "save_picture needs matplotlib: pip install 'lstmfast[demo]'", error
else:
    raise AssertionError
"""
    run_python(program, str(tmp_path / "picture.png"))
    assert os.listdir(tmp_path) == []


# Misuse ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["picture.xyz", "picture", "", "png", ".png", "a.png/picture", "picture."])
def test_a_suffix_that_matplotlib_does_not_know(name: str, tmp_path: Path) -> None:
    path = os.path.join(tmp_path, name)
    with pytest.raises(ValueError, match=r"^path: expected a suffix that matplotlib knows \(.*png.*svg"):
        example().save_picture(path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("path", "got"), [(None, "None"), (3, "3 (int)"), (["a"], "a list of length 1")])
def test_what_is_no_path(path: Any, got: str) -> None:
    with pytest.raises(TypeError) as caught:
        example().save_picture(path)
    assert str(caught.value) == f"path: expected a string or a path, got {got}"


def test_a_picture_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for path in (tmp_path / "none" / "picture.png", tmp_path / "folder.png"):
        with pytest.raises(OSError, match=r"\.png"):
            example().save_picture(path)
    assert os.listdir(tmp_path) == ["folder.png"]


def test_a_picture_that_cannot_be_drawn(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_text("as it was")
    with pytest.raises(TypeError):
        example(seconds=None).save_picture(path)
    assert path.read_text() == "as it was"


@pytest.mark.parametrize("name", ["model", "quantized"])
@pytest.mark.parametrize(
    ("value", "got"),
    [(None, "None"), ("lstm", "'lstm' (str)"), (3, "3 (int)"), (LSTM, "an object of type ABCMeta")],
)
def test_no_layer(name: str, value: Any, got: str) -> None:
    layers = {"model": LSTM(2, 3), "quantized": LSTM(2, 3), name: value}
    with pytest.raises(TypeError) as caught:
        compare(**layers, x=[[1, 2]])
    assert str(caught.value) == f"{name}: expected an LSTM or an RNN, quantised or not, got {got}"


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
