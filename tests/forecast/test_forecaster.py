"""The forecaster on series whose answers are known, and on a real one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import lstmfast
from lstmfast import datasets
from lstmfast._fitting import Settings
from lstmfast._forecast import Forecaster, SeriesError
from lstmfast._forecast.baselines import LAST, SEASON
from lstmfast._forecast.parts import Parts

from .drift import coverage
from .helpers import seasonal, walk

QUICK = Settings(epochs=5, batch_size=8)


def switching(rows: int, seed: int = 0) -> NDArray[np.float64]:
    """Make a series that no linear equation describes, [rows]."""
    generator = np.random.default_rng(seed)
    x = np.zeros(rows)
    for t in range(2, rows):
        x[t] = 0.9 * np.sin(2 * x[t - 1]) + 0.5 * (x[t - 2] > 0) + 0.3 * generator.standard_normal()
    return x


# Intervals -------------------------------------------------------------------------------------------


def test_on_a_random_walk_intervals_widen_with_the_root_of_the_horizon() -> None:
    ratios, held = [], []
    for seed in range(5):
        forecaster = Forecaster(16, settings=QUICK).fit(walk(2000, seed))
        assert forecaster.learned
        assert forecaster.evaluation
        widths = forecaster.learned.widths[:, :, 0]
        ratios.append(widths[:, [3, 15]] / widths[:, :1])
        held.append(forecaster.evaluation.coverage)
        assert forecaster.evaluation.comparison.verdict == "no better"
    np.testing.assert_allclose(np.mean(ratios, axis=0), [[2, 4]] * 2, rtol=0.12)
    # Over five walks; at the first step 1500 rows that are nearly independent, at the last about 94.
    mean = np.mean(held, axis=0)
    for h, rows in ((0, 1500), (15, 94)):
        for k, level in enumerate((0.80, 0.95)):
            # Both the quantile and the rows it is tried on are drawn: twice the variance of one.
            assert mean[k, h] == pytest.approx(level, abs=3 * (2 * level * (1 - level) / rows) ** 0.5)


def test_on_noise_intervals_are_those_of_the_noise() -> None:
    values = np.random.default_rng(0).normal(100, 2, 3000)
    forecaster = Forecaster(12, settings=QUICK).fit(values)
    assert forecaster.evaluation
    assert forecaster.evaluation.comparison.verdict == "no better"
    ahead = forecaster.predict(values)
    np.testing.assert_allclose(ahead.mean, 100, atol=0.3)
    np.testing.assert_allclose(
        (ahead.upper - ahead.lower)[..., 0], [[2 * 1.28 * 2] * 12, [2 * 1.96 * 2] * 12], rtol=0.1
    )
    held = forecaster.evaluation.coverage.mean(axis=1)
    np.testing.assert_allclose(held, [0.8, 0.95], atol=0.05)


@pytest.mark.parametrize(
    ("kind", "told", "least"),
    [
        ("as before", False, 0.88),
        ("a trend throughout", False, 0.88),
        ("the spread doubles with the last part", True, 0.8),
        ("a trend begins with the last part", True, 0.0),
        # What comes after the last row cannot be measured, nor told.
        ("the spread doubles after the last row", False, 0.55),
    ],
)
def test_what_coverage_says_where_a_series_drifts(kind: str, told: bool, least: float) -> None:
    found = [coverage(kind, seed) for seed in range(4)]
    said = [forecaster.evaluation.too_narrow for forecaster, _ in found if forecaster.evaluation]
    assert said == [told] * 4
    held = np.mean([held[1] for _, held in found])
    assert least < held < 0.98
    assert (held < 0.75) == (
        kind in ("a trend begins with the last part", "the spread doubles after the last row")
    )


# Forecasts -------------------------------------------------------------------------------------------


def test_a_season_on_a_trend() -> None:
    values = seasonal(2000)
    forecaster = Forecaster(24, seasons=(24, 168), settings=QUICK).fit(values[:-24])
    found = forecaster.evaluation
    assert found
    errors = {scores.name: scores.scaled.mean() for scores in found.baselines}
    assert found.network.scaled.mean() < 0.25 * errors[LAST]
    assert found.network.scaled.mean() < 0.8 * errors[SEASON]
    ahead = forecaster.predict(values[:-24])
    time = np.arange(1976, 2000)
    np.testing.assert_allclose(ahead.mean[:, 0], 0.01 * time + 3 * np.sin(2 * np.pi * time / 24), atol=0.6)
    inside = (ahead.lower[1, :, 0] < values[-24:]) & (values[-24:] < ahead.upper[1, :, 0])
    assert inside.sum() >= 21


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_what_is_not_linear_is_learned(cell: str) -> None:
    forecaster = Forecaster(4, cell=cell, period=0).fit(switching(2500))
    found = forecaster.evaluation
    assert found
    assert found.network.name == cell.upper()
    assert found.comparison.verdict == "better"
    assert found.comparison.change < -0.05


def test_growth_is_in_logarithms() -> None:
    """A year's shape that grows, as passengers of airlines do: forecasts and intervals grow with it."""
    month = np.arange(168)
    noise = np.random.default_rng(0).normal(0, 0.03, 168)
    values = np.exp(4 + 0.01 * month + 0.2 * np.sin(2 * np.pi * month / 12) + noise)
    forecaster = Forecaster(12, seasons=(12,), settings=QUICK).fit(values[:-12])
    assert forecaster.learned
    assert forecaster.learned.scaling.log.tolist() == [True]
    ahead = forecaster.predict(values[:-12])
    np.testing.assert_allclose(ahead.mean[:, 0], values[-12:], rtol=0.15)
    assert (ahead.upper - ahead.mean > ahead.mean - ahead.lower).all()
    with pytest.raises(SeriesError, match="column 'column 1': expected numbers above 0"):
        forecaster.predict(np.append(values, 0))


def test_sunspots() -> None:
    """Years 1700 to 2008: far better than the last value, and honest that a regression does as well."""
    _, numbers = datasets.sunspots()
    found = Forecaster(11).fit(numbers).evaluation
    assert found
    errors = {scores.name: scores.scaled.mean() for scores in found.baselines}
    assert found.network.scaled.mean() < 0.6 * errors[LAST]
    assert found.comparison.baseline == "linear autoregression"
    assert found.rows == 46
    assert (found.coverage[1] > 0.85).all()


def test_several_columns() -> None:
    generator = np.random.default_rng(0)
    leader = generator.standard_normal(1500).cumsum()
    follower = np.concatenate([[0], np.abs(leader[:-1])]) + 0.1 * generator.standard_normal(1500)
    values = np.stack([leader, follower], axis=1)
    forecaster = Forecaster(3, names=("a", "b"), settings=QUICK).fit(values)
    ahead = forecaster.predict(values)
    assert ahead.mean.shape == (3, 2)
    assert ahead.lower.shape == ahead.upper.shape == (2, 3, 2)
    assert abs(ahead.mean[0, 1] - abs(leader[-1])) < 1.5
    with pytest.raises(SeriesError, match="expected 2 columns"):
        forecaster.predict(leader)


def test_gaps_are_neither_learned_nor_judged() -> None:
    values = seasonal(600)
    filled = np.zeros(600, bool)
    filled[100:110] = filled[520:530] = True
    wild = values.copy()
    wild[filled] = np.interp(np.flatnonzero(filled), np.flatnonzero(~filled), values[~filled])
    found = Forecaster(6, period=24, settings=QUICK).fit(wild, filled=filled).evaluation
    judged = Forecaster(6, period=24, settings=QUICK).fit(wild).evaluation
    assert found
    assert judged
    # Lines have no noise: to count them would flatter.
    assert not np.allclose(found.network.mae, judged.network.mae)


# What it promises ------------------------------------------------------------------------------------


def test_nothing_knows_what_comes_later() -> None:
    """What is learned does not depend on the rows that judge it, nor a forecast on rows after it."""
    values = switching(800)
    changed = values.copy()
    changed[700:] += 5
    a, b = (Forecaster(4, period=0, settings=QUICK).fit(each).learned for each in (values, changed))
    assert a
    assert b
    for part in ("layer", "head"):
        ours, theirs = (getattr(each.network, part).parameters for each in (a, b))
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    z = a.scaling.to_model(values[:, np.newaxis])
    cut = z.copy()
    cut[500:] = 9
    # Blocks are counted from the end, so that both series must end where they did.
    np.testing.assert_array_equal(a.network.forecast(z)[:500], a.network.forecast(cut)[:500])


def later(values: NDArray[np.float64], first: int) -> NDArray[np.float64]:
    """Change all from a row on: other levels, another spread, another season."""
    changed = values.copy()
    changed[first:] = 3 * changed[first:][::-1] + 50
    return changed


@pytest.mark.parametrize(
    "values",
    [
        switching(800) + 20,
        seasonal(800) + 5,
        np.exp(4 + 0.002 * np.arange(800) + np.random.default_rng(0).normal(0, 0.1, 800)),  # in logarithms
    ],
    ids=["switching", "seasonal", "growing"],
)
@pytest.mark.parametrize("gap", [False, True])
def test_every_choice_is_made_before_the_rows_that_judge(values: NDArray[np.float64], gap: bool) -> None:
    """Scaling, logarithms, season, form, best baseline, units, weights; also where a gap leads to these rows.

    What is forecast from rows before them is the same, too, to the bit.
    """
    filled = np.zeros(800, bool)
    parts = Parts.of(800, 4)
    filled[parts.stop - 6 : parts.stop] = gap
    seen = []
    for each in (values, later(values, parts.stop)):
        made = each.copy()
        made[filled] = np.interp(np.flatnonzero(filled), np.flatnonzero(~filled), each[~filled])
        forecaster = Forecaster(4, seasons=(24,), settings=QUICK).fit(made, filled=filled)
        learned = forecaster.learned
        assert learned
        network = learned.network
        said = learned.predict(made[: parts.stop - 6, np.newaxis])
        seen.append(
            {
                "mean": learned.scaling.mean,
                "deviation": learned.scaling.deviation,
                "log": learned.scaling.log,
                "inputs": network.units.inputs,
                "targets": network.units.targets,
                "linear": network.baselines.linear.weights,
                "constant": network.baselines.linear.constant,
                "forecast": said.mean,
                **network.layer.parameters,
                **network.head.parameters,
            }
        )
        choices = (network.baselines.period, network.baselines.anchor, network.baselines.returns)
        seen[-1]["choices"] = np.array([*map(str, choices), str(network.baselines.linear.form)])
    for name, array in seen[0].items():
        np.testing.assert_array_equal(array, seen[1][name], err_msg=name)


def test_scaling_knows_the_training_rows_alone() -> None:
    values = np.exp(4 + 0.002 * np.arange(800) + np.random.default_rng(0).normal(0, 0.1, 800))
    parts = Parts.of(800, 4)
    a, b = (Forecaster(4, settings=QUICK).fit(each).learned for each in (values, later(values, parts.train)))
    assert a
    assert b
    assert a.scaling.log.tolist() == b.scaling.log.tolist() == [True]
    assert (a.scaling.mean, a.scaling.deviation) == (b.scaling.mean, b.scaling.deviation)
    assert a.scaling.mean == pytest.approx(np.log(values[: parts.train]).mean())


def test_a_later_number_without_a_logarithm_is_an_error_with_a_way_out() -> None:
    values = np.exp(4 + 0.002 * np.arange(800) + np.random.default_rng(0).normal(0, 0.1, 800))
    values[790] = -1
    with pytest.raises(
        SeriesError, match=r"'column 1': .* above 0, .* got -1 in row 790 of 800; logarithms=False"
    ):
        Forecaster(4, settings=QUICK).fit(values)
    forecaster = Forecaster(4, settings=QUICK, logarithms=False).fit(values)
    assert forecaster.learned
    assert not forecaster.learned.scaling.log.any()


def test_what_comes_near_zero_has_no_logarithms() -> None:
    generator = np.random.default_rng(0)
    values = np.exp(4 + 0.002 * np.arange(800) + generator.normal(0, 0.1, 800))
    values[100] = 2
    learned = Forecaster(4, settings=QUICK).fit(values).learned
    assert learned
    assert not learned.scaling.log.any()


def test_nothing_is_judged_that_was_said_from_within_a_gap() -> None:
    """A line across a gap leads to the number after it: the last value would be right by knowing it."""
    values = walk(800, 0)
    filled = np.zeros(800, bool)
    filled[50::10] = filled[51::10] = True
    values[filled] = np.interp(np.flatnonzero(filled), np.flatnonzero(~filled), values[~filled])
    found = Forecaster(4, period=0, settings=QUICK).fit(values, filled=filled).evaluation
    assert found
    (last,) = (scores for scores in found.baselines if scores.name == LAST)
    rows = np.arange(680, 800)
    fair = ~filled[rows] & ~filled[rows - 1]
    assert last.mae[0, 0] == pytest.approx(np.abs(values[rows] - values[rows - 1])[fair].mean())
    after = ~filled[rows] & filled[rows - 1]
    assert np.abs(values[rows] - values[rows - 1])[after].mean() < 0.8 * last.mae[0, 0]


@pytest.mark.parametrize("rows", [100, 120, 150])
@pytest.mark.parametrize("part", [0.01, 0.05, 0.1])
@pytest.mark.parametrize("horizon", [1, 10])
def test_short_series_with_gaps(rows: int, part: float, horizon: int) -> None:
    """Few rows, and single numbers that are missing anywhere, which leave enough to judge by."""
    for seed in range(3):
        filled = np.zeros(rows, bool)
        filled[
            np.random.default_rng(seed).choice(np.arange(1, rows - 1), int(part * rows), replace=False)
        ] = True
        values = seasonal(rows, seed)
        values[filled] = np.interp(np.flatnonzero(filled), np.flatnonzero(~filled), values[~filled])
        forecaster = Forecaster(horizon, settings=QUICK).fit(values, filled=filled)
        ahead = forecaster.predict(values)
        assert np.isfinite([ahead.mean, *ahead.lower, *ahead.upper]).all()


def test_no_row_is_whole() -> None:
    """Four columns, of each row one missing: nothing can be judged, and that is said."""
    values = np.random.default_rng(0).standard_normal((400, 4))
    filled = np.arange(400)[:, np.newaxis] % 4 == np.arange(4)
    with pytest.raises(SeriesError, match="too much that is missing"):
        Forecaster(4, settings=QUICK).fit(values, filled=filled)


def test_earlier_rows_than_it_reads_change_nothing() -> None:
    values = switching(800)
    forecaster = Forecaster(4, period=0, settings=QUICK).fit(values)
    assert forecaster.learned
    short = forecaster.predict(values[-forecaster.learned.reads :])
    np.testing.assert_array_equal(short.mean, forecaster.predict(values).mean)


def test_the_same_seed_is_the_same_bits_on_any_number_of_threads() -> None:
    values, found = switching(1000), []
    threads = lstmfast.get_num_threads()
    try:
        for count, seed in ((1, 0), (2, 0), (1, 1)):
            lstmfast.set_num_threads(count)
            settings = Settings(epochs=5, batch_size=8, seed=seed)
            found.append(Forecaster(4, period=0, seed=seed, settings=settings).fit(values).predict(values))
    finally:
        lstmfast.set_num_threads(threads)
    np.testing.assert_array_equal(found[0].mean, found[1].mean)
    np.testing.assert_array_equal(found[0].lower, found[1].lower)
    assert not np.array_equal(found[0].mean, found[2].mean)


def test_steps() -> None:
    values = walk(300, 0)
    forecaster = Forecaster(5, settings=QUICK)
    with pytest.raises(ValueError, match="call fit first"):
        forecaster.predict(values)
    forecaster.fit(values)
    np.testing.assert_array_equal(forecaster.predict(values, 2).mean, forecaster.predict(values).mean[:2])
    with pytest.raises(SeriesError, match="at most the horizon learned, 5, got 6"):
        forecaster.predict(values, 6)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.ones(200), "column 'column 1': expected numbers that change, got 1 in all of the first 120 rows"),
        (np.append(np.ones(150), np.arange(50.0)), "expected numbers that change"),
        (np.where(np.arange(200) % 2, 0.1 + 0.2, 0.3), "expected numbers that change"),  # rounding does not
        (1e300 * np.arange(200.0), "numbers whose squares are numbers, got 0 to 1.19e\\+302"),
        (1e-300 * np.arange(200.0), "numbers whose squares are numbers, got 0 to 1.19e-298"),
        (np.arange(50.0), "at least 100 rows, got 50"),
        (np.append(np.arange(150.0), np.nan), r"expected finite numbers, got \[nan\] in row 150"),
        (np.zeros((0, 1)), "expected shape"),
        (np.zeros((10, 10, 10)), "expected shape"),
    ],
)
def test_series_that_cannot_be(values: NDArray[np.float64], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Forecaster(4).fit(values)


@pytest.mark.parametrize(
    "choice", [{"horizon": 0}, {"cell": "rnn"}, {"period": 1}, {"hidden_size": 0}, {"seed": -1}]
)
def test_choices_that_cannot_be(choice: dict[str, object]) -> None:
    (name,) = choice
    with pytest.raises(ValueError, match=name):
        Forecaster(**choice)  # type: ignore[arg-type]


def test_a_period_too_long() -> None:
    with pytest.raises(SeriesError, match="period: expected at most 40 rows"):
        Forecaster(4, period=100).fit(walk(200, 0))


def test_exact_series() -> None:
    """A straight line and a perfect sine: nothing is left to learn, and nothing is divided by zero."""
    for values in (np.arange(400.0), np.sin(2 * np.pi * np.arange(400) / 20)):
        forecaster = Forecaster(5, settings=QUICK).fit(values)
        assert np.isfinite(forecaster.predict(values).mean).all()
    np.testing.assert_allclose(
        forecaster.predict(values).mean[:, 0], np.sin(2 * np.pi * np.arange(400, 405) / 20), atol=1e-3
    )
    assert forecaster.evaluation
    assert all(scores.scaled.max() < 10 for scores in forecaster.evaluation.baselines)


def test_a_season_that_repeats_exactly_is_measured_by_the_deviation() -> None:
    values = np.tile(np.random.default_rng(0).integers(0, 100, 12).astype(float), 30)
    found = Forecaster(5, period=12, settings=QUICK).fit(values).evaluation
    assert found
    scaled = {scores.name: scores.scaled.max() for scores in found.baselines}
    assert scaled[SEASON] == 0
    assert 0.1 < scaled[LAST] < 10


@pytest.mark.parametrize("rows", [100, 120, 200])
@pytest.mark.parametrize("period", [0, 7, None])
def test_short_series(rows: int, period: int | None) -> None:
    """As short as can be: all parts, whatever the season, and the baseline right by definition."""
    values = seasonal(rows) + np.tile(np.arange(7.0), rows)[:rows]
    forecaster = Forecaster(10, period=period, seasons=(7,), settings=QUICK).fit(values)
    found, learned = forecaster.evaluation, forecaster.learned
    assert found
    assert learned
    ahead = forecaster.predict(values)
    assert np.isfinite([ahead.mean, *ahead.lower, *ahead.upper]).all()
    names = [scores.name for scores in found.baselines]
    assert (SEASON in names) == bool(learned.network.baselines.period)
    if period:
        judged = np.arange(rows - round(0.15 * rows), rows)
        (season,) = (scores for scores in found.baselines if scores.name == SEASON)
        for h in range(10):  # the last row of the same place of the week that is known h + 1 rows before
            back = 7 * -(-(h + 1) // 7)
            expected = np.abs(values[judged] - values[judged - back]).mean()
            assert season.mae[h, 0] == pytest.approx(expected)
