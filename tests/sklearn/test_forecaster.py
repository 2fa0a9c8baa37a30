"""Forecasts of series, as an estimator."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score

from lstmfast import datasets
from lstmfast.sklearn import SequenceForecaster

from ..helpers import Array, assert_same_bits

QUICK: dict[str, Any] = {"horizon": 4, "hidden_size": 8, "max_iter": 20, "random_state": 0}


def sunspots() -> Array:
    return datasets.sunspots()[1]


@pytest.fixture(scope="module")
def fitted() -> SequenceForecaster:
    return SequenceForecaster(**QUICK).fit(sunspots()[:260])


def test_it_forecasts_the_next_years(fitted: SequenceForecaster) -> None:
    numbers = sunspots()
    ahead = fitted.forecast()
    assert ahead.shape == (4,)
    assert_same_bits(fitted.forecast(2), ahead[:2])
    # After a series that goes on, without learning anew; and it is the last row of what is said after each.
    assert_same_bits(fitted.forecast(X=numbers[:260]), ahead)
    assert not np.array_equal(fitted.forecast(X=numbers[:270]), ahead)
    after_each = fitted.predict(numbers[:270])
    assert after_each.shape == (270, 4)
    np.testing.assert_allclose(after_each[-1], fitted.forecast(X=numbers[:270]), rtol=1e-6)
    assert fitted.n_iter_ == len(fitted.history_.train_loss)
    assert fitted.evaluation_ is not None
    assert fitted.evaluation_.rows > 30


def test_better_than_the_last_value(fitted: SequenceForecaster) -> None:
    """On 49 years that it has not seen, two years ahead."""
    numbers = sunspots()
    said = fitted.predict(numbers)[260:-2, 1]
    truth = numbers[262:]
    last = numbers[260:-2]
    assert np.mean((said - truth) ** 2) < 0.6 * np.mean((last - truth) ** 2)


def test_intervals(fitted: SequenceForecaster) -> None:
    lower, upper = fitted.forecast_interval()
    inner_lower, inner_upper = fitted.forecast_interval(level=0.8)
    ahead = fitted.forecast()
    assert (lower < inner_lower).all()
    assert (inner_lower < ahead).all()
    assert (ahead < inner_upper).all()
    assert (inner_upper < upper).all()
    assert [side.shape for side in fitted.forecast_interval(3)] == [(3,), (3,)]


def test_several_columns() -> None:
    numbers = sunspots()
    both = np.column_stack([numbers[1:], np.roll(numbers, 1)[1:] + 100])
    forecaster = SequenceForecaster(**QUICK | {"max_iter": 3}).fit(both)
    assert forecaster.n_features_in_ == 2
    assert forecaster.forecast(3).shape == (3, 2)
    assert forecaster.forecast_interval()[0].shape == (4, 2)
    assert forecaster.predict(both).shape == (308, 4, 2)
    assert SequenceForecaster(**QUICK | {"max_iter": 1}).fit(both[:, :1]).forecast(3).shape == (3, 1)


def test_score_is_of_rows_with_all_that_is_needed(fitted: SequenceForecaster) -> None:
    numbers = sunspots()[200:]
    score = fitted.score(numbers)
    assert fitted.forecaster_.learned is not None
    first = fitted.forecaster_.learned.needs - 1
    said = fitted.predict(numbers)[first:-4]
    truth = np.lib.stride_tricks.sliding_window_view(numbers, 4)[first + 1 :]
    assert score == pytest.approx(r2_score(truth, said))
    assert 0.3 < score < 1


def test_scikit_learns_tools() -> None:
    numbers = sunspots()
    splits = TimeSeriesSplit(2, test_size=60)
    search = GridSearchCV(
        SequenceForecaster(**QUICK | {"max_iter": 2}),
        {"cell": ["LSTM", "GRU"]},
        cv=splits,
        error_score="raise",
    )
    assert search.fit(numbers).best_params_["cell"] in ("LSTM", "GRU")
    assert cross_val_score(search.best_estimator_, numbers, cv=splits, error_score="raise").shape == (2,)


def test_pickles_and_clones(fitted: SequenceForecaster) -> None:
    again = pickle.loads(pickle.dumps(fitted))
    assert_same_bits(again.forecast(), fitted.forecast())
    assert_same_bits(clone(fitted).fit(sunspots()[:260]).forecast(), fitted.forecast())


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.arange(50.0), "expected at least 100 rows, got 50"),
        (np.where(np.arange(200) == 7, np.nan, np.arange(200)), "Input X contains NaN"),
        (np.ones(200), "expected numbers that change"),
        (np.ones((20, 10, 3)), "Found array with dim 3"),
        (["a"] * 200, "could not convert string to float"),
    ],
)
def test_series_that_are_refused(x: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequenceForecaster(**QUICK).fit(x)


def test_calls_that_are_refused(fitted: SequenceForecaster) -> None:
    numbers = sunspots()
    with pytest.raises(NotFittedError):
        SequenceForecaster().forecast()
    with pytest.raises(ValueError, match="steps: expected at most the horizon learned, 4, got 5"):
        fitted.forecast(5)
    with pytest.raises(ValueError, match=r"X: expected at least \d+ rows to forecast from, got 1"):
        fitted.forecast(X=numbers[:1])
    with pytest.raises(ValueError, match="tol: expected a number >= 0, got -1"):
        SequenceForecaster(tol=-1).fit(numbers)
    with pytest.raises(TypeError, match="logarithms: expected True or False"):
        SequenceForecaster().set_params(logarithms="no").fit(numbers)
    with pytest.raises(ValueError, match="level: expected one of"):
        fitted.forecast_interval(level=0.5)
    with pytest.raises(ValueError, match="X has 2 features"):
        fitted.predict(np.ones((100, 2)))
    with pytest.raises(ValueError, match=r"X: expected at least .* rows to score by, got 5"):
        fitted.score(numbers[:5])
    with pytest.raises(ValueError, match="cell: expected 'LSTM' or 'GRU', got 'RNN'"):
        SequenceForecaster(cell="RNN").fit(numbers)
    two = SequenceForecaster(**QUICK | {"max_iter": 1}).fit(np.column_stack([numbers, numbers[::-1]]))
    with pytest.raises(ValueError, match=r"X: expected shape \[N, 2\], as fit was given, got \(309,\)"):
        two.predict(numbers)
