"""Quantiles, parts, residuals by row, and the comparison of errors."""

from __future__ import annotations

import numpy as np
import pytest

from lstmfast._forecast.errors import SeriesError
from lstmfast._forecast.evaluation import compare, residuals, score
from lstmfast._forecast.intervals import half_widths
from lstmfast._forecast.parts import Parts
from lstmfast._forecast.scaling import Scaling


def test_half_widths_are_finite_sample_quantiles() -> None:
    found = half_widths(np.random.default_rng(0).permutation(np.arange(1.0, 20))[:, np.newaxis, np.newaxis])
    assert found[:, 0, 0].tolist() == [16, 19]  # of 19: the 16th and the largest
    assert half_widths(-np.arange(1.0, 100)[:, np.newaxis, np.newaxis])[:, 0, 0].tolist() == [80, 95]
    with pytest.raises(SeriesError, match=r"at least 19 rows .* got 18"):
        half_widths(np.arange(18.0)[:, np.newaxis, np.newaxis])


def test_half_widths_leave_gaps_out() -> None:
    values = np.full((40, 1, 1), np.nan)
    values[::2, 0, 0] = np.arange(1.0, 21)
    assert half_widths(values)[:, 0, 0].tolist() == [17, 20]


def test_half_widths_cover() -> None:
    """Of a thousand times 39 residuals and one more, the last is within as often as is said."""
    draws = np.random.default_rng(0).standard_normal((40, 1000, 1))
    held = (np.abs(draws[-1]) <= half_widths(draws[:-1])).mean(axis=(1, 2))
    assert held[0] == pytest.approx(0.80, abs=0.04)
    assert held[1] == pytest.approx(0.95, abs=0.02)


def test_parts() -> None:
    assert Parts.of(1000, 10) == Parts(600, 700, 850, 1000)
    assert Parts.of(100, 1) == Parts(55, 65, 85, 100)
    assert Parts.of(144, 12) == Parts(76, 100, 122, 144)
    with pytest.raises(SeriesError, match="at least 100 rows, got 99"):
        Parts.of(99, 1)
    with pytest.raises(SeriesError, match=r"ten times the horizon, 110 rows, got 105;.* 10 can be had"):
        Parts.of(105, 11)


def test_parts_reach_back_over_gaps() -> None:
    """Twenty rows that can be judged for every step ahead, as far as a third of all rows goes."""
    whole = np.ones(100, bool)
    assert Parts.of(100, 3, whole=whole) == Parts.of(100, 3)
    whole[75] = False  # itself and, for each step ahead, one row after it
    assert Parts.of(100, 3, whole=whole) == Parts(53, 63, 85, 100)
    assert Parts.of(100, 3, whole=np.arange(100) % 2 == 0) == Parts(42, 52, 85, 100)


def test_residuals_stand_at_the_row_that_was_forecast() -> None:
    truth = np.arange(20.0)[:, np.newaxis] ** 2
    forecast = np.repeat(truth[:, np.newaxis], 3, axis=1)  # the last value
    found = residuals(truth, forecast, 10, 12)
    assert found[..., 0].tolist() == [[100 - 81, 100 - 64, 100 - 49], [121 - 100, 121 - 81, 121 - 64]]
    assert np.isnan(residuals(truth, forecast, 0, 2)[..., 0]).tolist() == [[True] * 3, [False, True, True]]


def test_scores() -> None:
    scores = score("it", np.array([[[1.0, 4.0]], [[-3.0, np.nan]]]), np.array([2.0, 4.0]))
    assert scores.mae.tolist() == [[2, 4]]
    assert scores.rmse.tolist() == [[5**0.5, 4]]
    assert scores.scaled.tolist() == [1]


def test_comparisons_by_chance_are_none() -> None:
    """Of errors of one distribution, few pairs differ; of clear differences, all."""
    generator = np.random.default_rng(0)
    unit = np.ones(1)
    verdicts = []
    for _ in range(100):
        ours, theirs = generator.standard_normal((2, 300, 2, 1))
        verdicts.append(compare(ours, theirs, unit, "it").verdict)
    assert verdicts.count("no better") >= 85
    errors = generator.standard_normal((300, 2, 1))
    found = compare(0.7 * errors, errors, unit, "it")
    assert (found.verdict, found.baseline) == ("better", "it")
    assert found.change == pytest.approx(-0.3)
    assert found.low < found.change < found.high < 0
    assert compare(1.4 * errors, errors, unit, "it").verdict == "worse"
    assert compare(errors * 0.995, errors, unit, "it").verdict == "no better"  # too little to matter


def test_logarithms_where_spread_grows() -> None:
    generator = np.random.default_rng(0)
    level = np.exp(np.linspace(0, 2, 240))
    both = np.stack(
        [level * np.exp(0.1 * generator.standard_normal(240)), 5 + level + generator.normal(0, 0.1, 240)]
    )
    observed = np.ones(both.T.shape, bool)
    scaling = Scaling.of(both.T, observed, 12, ("a", "b"))
    assert scaling.log.tolist() == [True, False]
    none = Scaling.of(both.T, observed, 12, ("a", "b"), logarithms=False)
    assert none.log.tolist() == [False, False]
    assert Scaling.of(both.T - 1.5, observed, 12, ("a", "b")).log.tolist() == [False, False]
    z = scaling.to_model(both.T)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(z.std(axis=0), 1)
    np.testing.assert_allclose(scaling.to_values(z), both.T)
