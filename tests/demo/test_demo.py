"""The demo: an honest forecast, honest pictures, an honest comparison, the same bits for the same seed."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray

import lstmfast
from lstmfast import _demo, datasets
from lstmfast._demo import gradients, pictures, report, speed
from lstmfast._demo.forecaster import Forecaster
from lstmfast._demo.series import HELD_OUT, WINDOW, Scaling, root_mean_squared_error, windows
from lstmfast._demo.train import train
from lstmfast.reference import Reference
from lstmfast.training import Adam, Dense

YEARS, NUMBERS = datasets.sunspots()
TRAINING = NUMBERS[:-HELD_OUT]


@pytest.fixture(scope="module")
def model() -> Forecaster:
    """Trained a little: what is asked of it here does not depend on how well it forecasts."""
    return train(TRAINING, epochs=3, hidden=8, seed=0)


class First:
    """An output node without a sum, so that bits are those of our own arithmetic: the first unit's h.

    NumPy's product has other last bits for another number of rows, on some CPUs (OpenBLAS on AVX-512).
    """

    def __call__(self, y: NDArray[Any]) -> NDArray[Any]:
        return y[..., :1]


@pytest.fixture
def bare(model: Forecaster) -> Forecaster:
    return dataclasses.replace(model, head=First())  # type: ignore[arg-type]


def same_weights(a: Forecaster, b: Forecaster) -> bool:
    return all(
        np.array_equal(getattr(a, part).parameters[name], value)
        for part in ("lstm", "head")
        for name, value in getattr(b, part).parameters.items()
    )


# The series ------------------------------------------------------------------------------------------


def test_windows() -> None:
    x, target = windows(np.arange(10, dtype=np.float32), 4)
    assert x.shape == target.shape == (4, 6, 1)
    np.testing.assert_array_equal(x[:, 0, 0], [0, 1, 2, 3])
    np.testing.assert_array_equal(x[:, 5, 0], [5, 6, 7, 8])
    np.testing.assert_array_equal(target, x + 1)


def test_scaling() -> None:
    scaling = Scaling.of(TRAINING)
    scaled = scaling.to_model(TRAINING)
    assert scaled.dtype == np.float32
    assert abs(scaled.mean()) < 1e-5
    assert abs(scaled.std() - 1) < 1e-5
    np.testing.assert_allclose(scaling.to_numbers(scaled), TRAINING, rtol=1e-5, atol=1e-5)
    assert scaling.to_numbers(np.array([-100.0])) == 0  # not 100**2-odd sunspots


def test_root_mean_squared_error() -> None:
    assert root_mean_squared_error(np.array([1.0, 2.0]), np.array([4.0, 6.0])) == pytest.approx(np.sqrt(12.5))


# Training and forecasting ----------------------------------------------------------------------------


def test_the_default_forecast_beats_the_naive_one() -> None:
    losses: list[tuple[int, float]] = []
    model = train(
        TRAINING, epochs=80, hidden=32, seed=0, on_epoch=lambda epoch, loss: losses.append((epoch, loss))
    )
    assert [epoch for epoch, _ in losses] == list(range(1, 81))
    assert losses[-1][1] < losses[0][1] / 5

    forecasts = _demo.forecast(model, YEARS, NUMBERS)
    truth = NUMBERS[-HELD_OUT:]
    naive = root_mean_squared_error(forecasts.naive, truth)
    assert naive == pytest.approx(32.898, abs=1e-3)
    assert root_mean_squared_error(forecasts.lstm, truth) < 0.7 * naive


def test_forecasts_stand_at_their_years(bare: Forecaster) -> None:
    forecasts = _demo.forecast(bare, YEARS, NUMBERS)
    for i in (0, 1, HELD_OUT - 1):
        year = len(NUMBERS) - HELD_OUT + i
        assert forecasts.naive[i] == NUMBERS[year - 1]
        assert forecasts.lstm[i] == bare.next_years(NUMBERS[:year])[-1]
    assert len(set(forecasts.lstm)) > HELD_OUT / 2  # the test can tell one year from another
    assert forecasts.lstm.shape == forecasts.naive.shape == (HELD_OUT,)


def test_a_forecast_knows_only_earlier_years(bare: Forecaster) -> None:
    changed = NUMBERS.copy()
    changed[200:] = 77.0
    np.testing.assert_array_equal(bare.next_years(changed)[:200], bare.next_years(NUMBERS)[:200])
    assert bare.next_years(changed)[200] != bare.next_years(NUMBERS)[200]


def test_the_free_run_feeds_on_its_own_forecasts(model: Forecaster) -> None:
    free = model.run_freely(TRAINING, 5)
    series = TRAINING
    for value in free:
        # To numbers and back costs a rounding, so this is no comparison of bits.
        np.testing.assert_allclose(model.next_years(series)[-1], value, rtol=1e-4)
        series = np.append(series, value)


def test_held_out_years_reach_nothing_but_their_own_forecasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def saved(folder: Path, numbers: NDArray[np.float64]) -> Forecaster:
        folder.mkdir()
        monkeypatch.setattr(datasets, "sunspots", lambda: (YEARS.copy(), numbers.copy()))
        _demo.run(folder, epochs=2, seed=0, hidden=4)
        return Forecaster.load(folder)

    monkeypatch.setattr(speed, "compare", lambda *_: [speed.Row("5 x 3", "nothing", [1.0], [1.0], 0.0)])
    changed = NUMBERS.copy()
    changed[-HELD_OUT:] = 500.0
    as_it_is = saved(tmp_path / "a", NUMBERS)
    otherwise = saved(tmp_path / "b", changed)
    assert as_it_is.scaling == otherwise.scaling
    assert same_weights(as_it_is, otherwise)
    free = [_demo.forecast(as_it_is, YEARS, numbers).free for numbers in (NUMBERS, changed)]
    np.testing.assert_array_equal(free[0], free[1])

    changed[10] += 1  # the test can tell: a training year does reach the weights
    assert not same_weights(as_it_is, saved(tmp_path / "c", changed))


@pytest.mark.usefixtures("threads")
def test_same_seed_same_bits_on_any_number_of_threads(model: Forecaster) -> None:
    for threads in (1, 2, 3):
        lstmfast.set_num_threads(threads)
        assert same_weights(train(TRAINING, epochs=3, hidden=8, seed=0), model)


def test_the_seed_is_of_every_weight() -> None:
    a, b = (Forecaster.new(Scaling.of(TRAINING), hidden=4, seed=seed) for seed in (0, 1))
    for name in a.lstm.parameters:
        assert not np.array_equal(a.lstm.parameters[name], b.lstm.parameters[name])
    assert not np.array_equal(a.head.parameters["weight"], b.head.parameters["weight"])


def test_gradients_are_clipped(monkeypatch: pytest.MonkeyPatch) -> None:
    norms: list[float] = []

    def step(self: Adam, *gradients: Mapping[str, Any]) -> None:
        squares = [np.sum(np.square(array, dtype=float)) for of_one in gradients for array in of_one.values()]
        norms.append(float(np.sqrt(sum(squares))))

    monkeypatch.setattr(Adam, "step", step)
    train(TRAINING, epochs=1, hidden=8, seed=0)
    # By its full name: the package has the function where its module would be.
    monkeypatch.setattr(importlib.import_module("lstmfast._demo.train"), "MAX_NORM", norms[0] / 8)
    train(TRAINING, epochs=1, hidden=8, seed=0)
    assert norms[1] == pytest.approx(norms[0] / 8, rel=1e-5)


def test_saved_and_loaded(model: Forecaster, tmp_path: Path) -> None:
    model.save(tmp_path)
    again = Forecaster.load(tmp_path)
    assert again.scaling == model.scaling
    assert same_weights(again, model)
    assert model.forecasts_as(again, NUMBERS)
    for part in ("weight", "bias"):
        again = Forecaster.load(tmp_path)
        again.head.update({part: np.nextafter(again.head.parameters[part], np.float32(9))})
        assert not model.forecasts_as(again, NUMBERS)


def test_last_bits_of_numpys_products_are_no_other_forecast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count()

    def elsewhere(self: Dense, x: Any) -> Any:
        return np.nextafter(given(self, x), np.float32(next(calls) % 2 * 99))

    given = Dense.__call__
    monkeypatch.setattr(Dense, "__call__", elsewhere)
    monkeypatch.setattr(speed, "compare", lambda *_: [speed.Row("5 x 3", "nothing", [1.0], [1.0], 0.0)])
    _demo.run(tmp_path, epochs=1, seed=0, hidden=4)


def test_weights_that_load_as_others_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Forecaster.new(Scaling.of(TRAINING), hidden=4, seed=99)
    monkeypatch.setattr(Forecaster, "load", classmethod(lambda cls, folder: other))
    with pytest.raises(ArithmeticError, match="forecast something else"):
        _demo.run(tmp_path, epochs=1, seed=0, hidden=4)


# Gradients -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gradients(seed: int) -> None:
    curves = {(curve.cell, curve.weights): curve for curve in gradients.curves(seed)}
    assert len(curves) == 5
    for curve in curves.values():
        assert curve.norm.shape == (gradients.STEPS + 1,)
        assert curve.norm[-1] == 1.0
        assert np.all(curve.norm > 0)
        assert np.all(np.isfinite(curve.norm))
    assert curves["RNN", "ordinary weights"].at_start < 1e-15
    assert curves["RNN", "recurrent weights x 8"].at_start > 1e9
    assert curves["LSTM", "ordinary weights"].at_start < 1e-15  # gates half open: it is no magic
    assert 1e-3 < curves["LSTM", "forget bias + 3"].at_start < 1e3


# Pictures --------------------------------------------------------------------------------------------


def assert_a_picture(path: Path) -> None:
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    pixels = np.asarray(imread(path))[:, :, :3]
    assert min(pixels.shape[:2]) > 400
    assert 0.001 < np.mean(pixels.min(axis=2) < 0.9) < 0.5  # ink, but not all over


def test_pictures(model: Forecaster, tmp_path: Path) -> None:
    pictures.draw_forecast(_demo.forecast(model, YEARS, NUMBERS), tmp_path / "forecast.png")
    pictures.draw_gradients(gradients.curves(0), tmp_path / "gradients.png")
    for name in ("forecast.png", "gradients.png"):
        assert_a_picture(tmp_path / name)


# Speed -----------------------------------------------------------------------------------------------


def test_speed_rows() -> None:
    lstm = lstmfast.LSTM(2, 8, seed=0)
    x = np.random.default_rng(0).standard_normal((5, 3, 2)).astype(np.float32)
    rows = speed.compare(lstm, [x], seconds=0.0)
    assert [(row.shape, row.work) for row in rows] == [("5 x 3", "forward"), ("5 x 3", "forward + backward")]
    for row in rows:
        assert len(row.ours) == len(row.reference) == speed.ROUNDS
        assert min(row.ours + row.reference) > 0
        assert row.difference < 1e-5


@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"])
def test_speed_is_not_measured_of_something_else(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(Reference):
        def __init__(self, cell: str, parameters: Mapping[str, Any], **options: Any) -> None:
            super().__init__(cell, {**parameters, name: parameters[name] * np.float32(1.01)}, **options)

    monkeypatch.setattr(speed, "Reference", Wrong)
    with pytest.raises(ArithmeticError, match="differ by"):
        speed.compare(lstmfast.LSTM(2, 8, seed=0), [np.ones((5, 3, 2), np.float32)])


def test_speed_ratios() -> None:
    row = speed.Row("5 x 3", "work", ours=[1.0, 4.0, 2.0], reference=[9.0, 5.0, 30.0], difference=0.0)
    assert row.ratio == 5.0
    assert row.median_ratio == 4.5


def test_wrong_gradients_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    backward = Reference.backward

    def wrong(self: Reference, *arguments: Any) -> Any:
        *others, parameters = backward(self, *arguments)
        return *others, {**parameters, "bias_hh_l0": parameters["bias_hh_l0"] * np.float32(1.01)}

    monkeypatch.setattr(Reference, "backward", wrong)
    with pytest.raises(ArithmeticError, match=r"forward \+ backward: .* differ by"):
        speed.compare(lstmfast.LSTM(2, 8, seed=0), [np.ones((5, 3, 2), np.float32)], seconds=0.0)


# The whole of it -------------------------------------------------------------------------------------


def test_the_command(tmp_path: Path) -> None:
    without = {"DISPLAY", "WAYLAND_DISPLAY", "COLUMNS"}
    env = {key: value for key, value in os.environ.items() if key not in without}
    done = subprocess.run(
        [sys.executable, "-m", "lstmfast", "demo", "--epochs", "5", "--hidden", "8", "--threads", "3"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**env, "PYTHONIOENCODING": "utf-8"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "lstmfast-demo"
    assert sorted(path.name for path in folder.iterdir()) == [
        "forecast.png", "gradients.png", "head.safetensors", "lstm.safetensors",
    ]  # fmt: skip
    for name in ("forecast.png", "gradients.png"):
        assert_a_picture(folder / name)

    assert re.search(r"naive: same as last year\W+32\.9\W+100%", done.stdout)
    forecast = _demo.forecast(Forecaster.load(folder), YEARS, NUMBERS).lstm
    error = root_mean_squared_error(forecast, NUMBERS[-HELD_OUT:])
    assert re.search(rf"LSTM\W+{error:.1f}\W", done.stdout)
    assert "the same to the bit" in done.stdout
    assert f"{lstmfast.isa()}, 3 threads" in done.stdout
    assert re.search(rf"{WINDOW} x {len(TRAINING) - WINDOW} +forward \+ backward +\d", done.stdout)
    assert done.stdout.endswith("Pictures and weights are in lstmfast-demo\n")
    assert "5/5" in done.stderr
    assert "loss" in done.stderr


def test_the_bar_shows_the_loss(capsys: pytest.CaptureFixture[str]) -> None:
    with report.training_bar(4) as on_epoch:
        on_epoch(3, 0.12345)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "3/4" in shown.err
    assert "loss 0.1234" in shown.err or "loss 0.1235" in shown.err
