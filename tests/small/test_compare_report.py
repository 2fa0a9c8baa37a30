"""compare: how it takes times, its report and its picture."""

from __future__ import annotations

import os
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

import lstmfast
from lstmfast import LSTM, Comparison, compare
from lstmfast._small import compare as _compare
from lstmfast._small.comparison import Error

from ..core_helpers import run_python
from ..helpers import Array, make, random_x

pytestmark = pytest.mark.usefixtures("briefly")


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
