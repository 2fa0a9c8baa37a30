"""Numbers of sequences: a real series, several targets, units."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.metrics import mean_squared_error

from lstmfast.sklearn import SequenceRegressor
from lstmfast.sklearn._scaling import Scaling

from ..helpers import assert_same_bits
from .helpers import QUICK, ragged, sunspots


def test_the_next_year_of_sunspots() -> None:
    """After 24 years, on the last 60: better than to say it will be as in the last."""
    X, y, last = sunspots()
    regressor = SequenceRegressor(random_state=0, max_iter=60).fit(X[:-60], y[:-60])
    naive = mean_squared_error(y[-60:], last[-60:])
    assert mean_squared_error(y[-60:], regressor.predict(X[-60:])) < 0.6 * naive
    assert regressor.score(X[-60:], y[-60:]) > 0.7


def test_several_targets_in_their_own_units() -> None:
    X, _ = ragged(200)
    y = np.array([[1e-3 * row[:, 0].mean(), 1e6 + 1e5 * row[:, 1].mean()] for row in X])
    regressor = SequenceRegressor(**QUICK | {"max_iter": 20}).fit(X[:150], y[:150])
    said = regressor.predict(X[150:])
    assert said.shape == (50, 2)
    for k in range(2):
        assert np.corrcoef(said[:, k], y[150:, k])[0, 1] > 0.8
        assert np.abs(said[:, k] - y[150:, k]).mean() < 0.7 * np.abs(y[:150, k].mean() - y[150:, k]).mean()
    again = pickle.loads(pickle.dumps(regressor))
    assert_same_bits(again.predict(X), regressor.predict(X))


def test_predictions_have_the_shape_of_targets() -> None:
    X, _ = ragged(20)
    for y in (np.arange(20), np.arange(20.0)[:, np.newaxis]):
        assert SequenceRegressor(**QUICK | {"max_iter": 1}).fit(X, y).predict(X).shape == y.shape


def test_sequences_that_weigh_more() -> None:
    X, y = np.ones((40, 3, 1)), np.repeat([0.0, 1.0], 20)
    weight = np.repeat([1.0, 3.0], 20)
    regressor = SequenceRegressor(**QUICK | {"max_iter": 60}).fit(X, y, weight)
    assert regressor.predict(X)[0] == pytest.approx(0.75, abs=0.1)
    assert SequenceRegressor(**QUICK | {"max_iter": 60}).fit(X, y).predict(X)[0] == pytest.approx(
        0.5, abs=0.1
    )


@pytest.mark.parametrize("power", [-1000, 0, 1000])
def test_units_of_any_size(power: int) -> None:
    """Numbers whose squares no float64 can hold: as in any other unit, to the bit, for powers of two."""
    X, _ = ragged(40)
    y = np.random.default_rng(0).standard_normal(40)
    usual = SequenceRegressor(**QUICK).fit(X, y).predict(X)
    X = [row * 2.0**power for row in X]
    said = SequenceRegressor(**QUICK).fit(X, y * 2.0**power).predict(X)
    np.testing.assert_array_equal(said * 2.0**-power, usual)


def test_scaling_is_mean_and_deviation_to_the_bit() -> None:
    steps = np.random.default_rng(0).normal(3, 100, (1000, 3))
    found = Scaling.of(steps)
    np.testing.assert_array_equal(found.mean, steps.mean(axis=0))
    np.testing.assert_array_equal(
        found.deviation, np.sqrt(np.square(steps - steps.mean(axis=0)).mean(axis=0))
    )


def test_sequences_beyond_float32_are_refused() -> None:
    X, _ = ragged(40)
    fitted = SequenceRegressor(**QUICK).fit(X, np.arange(40.0))
    far = [row.copy() for row in X]
    far[3][1, 0] = 1e300
    with pytest.raises(
        ValueError, match=r"X\[3\]: expected numbers that float32 can hold, .* got 1e\+300 at \(1, 0\)"
    ):
        fitted.predict(far)
    with pytest.raises(ValueError, match="X: expected numbers that float32 can hold"):
        SequenceRegressor(standardize=False, **QUICK).fit(np.full((40, 3, 2), 1e300), np.arange(40.0))


def test_what_never_changes_is_said_as_it_is() -> None:
    X = np.full((20, 4, 2), 7.0)
    regressor = SequenceRegressor(**QUICK).fit(X, np.full(20, 3.0))
    np.testing.assert_allclose(regressor.predict(X), 3.0, atol=0.3)
