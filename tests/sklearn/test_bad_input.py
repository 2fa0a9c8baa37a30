"""What estimators refuse, and what they say of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.exceptions import NotFittedError

from lstmfast.sklearn import SequenceClassifier, SequenceRegressor

from ..core_helpers import run_python
from .helpers import QUICK, ragged

X = [np.ones((3, 2)), np.zeros((2, 2)), np.full((4, 2), 2.0), np.full((1, 2), 3.0)]
Y = np.array([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (
            [*X[:3], np.array([[1, np.nan]])],
            Y,
            ValueError,
            r"X\[3\]: expected finite numbers, got \[ 1. nan\] at step 0",
        ),
        ([*X[:3], np.ones((2, 3))], Y, ValueError, r"X\[3\]: expected shape \[T, 2\], got \(2, 3\)"),
        ([*X[:3], np.ones((0, 2))], Y, ValueError, r"X\[3\]: expected at least one step"),
        ([*X[:3], [["a", "b"]]], Y, TypeError, r"X\[3\]: expected an array of real numbers"),
        (X[:3], Y, ValueError, "inconsistent numbers of samples"),
        (X, [0, 0, 0, 0], ValueError, "y: expected at least two classes, got one class, 0$"),
        (X, ["a"] * 4, ValueError, "y: expected at least two classes, got one class, 'a'$"),
        (X, [0, 1, np.nan, 1], ValueError, "Input y contains NaN"),
        (X, np.array(["a", "b", np.nan, "b"], object), ValueError, "Input y contains NaN|Input contains NaN"),
        (X, np.ones((4, 2)), ValueError, "y should be a 1d array"),
        (X, ["a", "b"], ValueError, "inconsistent numbers of samples"),
        (X, [0.5, 0.1, 0.2, 0.3], ValueError, "Unknown label type"),
        (X, None, ValueError, "requires y to be passed, but the target y is None"),
        (np.ones((4, 3, 0)), Y, ValueError, "0 feature|at least one step"),
        (np.ones((4, 0, 2)), Y, ValueError, "X: expected at least one step of at least one number"),
        (np.full((4, 3, 2), np.inf), Y, ValueError, "Input X contains infinity"),
        (np.ones((4, 2, 3, 2)), Y, ValueError, "Found array with dim 4"),
        (
            [np.ones(3), np.ones(2), np.ones(3), np.ones(4)],
            Y,
            ValueError,
            r"X: expected .* x\[:, np.newaxis\] makes",
        ),
        (np.ones(4), Y, ValueError, "Expected 2D array, got 1D array instead"),
        ([], [], ValueError, "array"),
    ],
)
def test_data(x: Any, y: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        SequenceClassifier(**QUICK).fit(x, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.ones((4, 1, 1)), "y: expected numbers of shape|Found array with dim 3"),
        ([1, 2, np.nan, 3], "Input y contains NaN"),
        (["a", "b", "c", "d"], "could not convert|dtype='numeric'"),
        ([1, 2, 3], "inconsistent numbers of samples"),
    ],
)
def test_targets_of_a_regressor(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequenceRegressor(**QUICK).fit(X, y)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"cell": "lstm"},
            ValueError,
            "cell: expected 'LSTM' or 'GRU' or 'RNN' or 'LayerNormLSTM', got 'lstm'",
        ),
        ({"hidden_size": 0}, ValueError, "hidden_size: expected an integer >= 1, got 0"),
        ({"num_layers": 1.5}, TypeError, "num_layers: expected an integer >= 1"),
        ({"dropout": 2}, ValueError, "dropout: expected a number from 0 to 1"),
        ({"max_iter": 0}, ValueError, "max_iter: expected an integer >= 1, got 0"),
        ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change: expected an integer >= 1, got 0"),
        ({"tol": -1}, ValueError, "tol: expected a number >= 0, got -1"),
        ({"learning_rate": 0}, ValueError, "learning_rate: expected a number > 0, got 0"),
        (
            {"validation_fraction": 1},
            ValueError,
            "validation_fraction: expected a number between 0 and 1, got 1",
        ),
        ({"early_stopping": 1}, TypeError, "early_stopping: expected True or False"),
        ({"standardize": "yes"}, TypeError, "standardize: expected True or False"),
        ({"verbose": 2}, TypeError, "verbose: expected True or False"),
        ({"random_state": -1}, ValueError, "Seed must be between 0 and"),
        ({"random_state": "a"}, ValueError, "cannot be used to seed"),
    ],
)
def test_parameters(change: dict[str, Any], error: type[Exception], message: str) -> None:
    for estimator in (SequenceClassifier(), SequenceRegressor()):
        estimator.set_params(**QUICK | change)  # which keeps anything: scikit-learn's rule
        with pytest.raises(error, match=message):
            estimator.fit(X, Y)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1, 2], r"sample_weight.shape == \(2,\), expected \(4,\)"),
        ([1, 2, -1, 1], "sample_weight: expected finite numbers, none below zero and not all zero"),
        ([0, 0, 0, 0], "not all zero"),
        ([1, np.nan, 1, 1], "sample_weight: expected finite numbers"),
    ],
)
def test_sample_weights(weight: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequenceClassifier(**QUICK).fit(X, Y, weight)


@pytest.mark.parametrize("weight", [{0: -1}, {0: 0, 1: 0}, {0: np.nan}, {0: np.inf}])
def test_class_weights(weight: Any) -> None:
    with pytest.raises(
        ValueError, match="class_weight: expected finite numbers, none below zero and not all"
    ):
        SequenceClassifier(**QUICK, class_weight=weight).fit(X, Y)


def test_other_data_than_in_fit() -> None:
    rows, y = ragged(20)
    with pytest.raises(NotFittedError):
        SequenceClassifier().predict(rows)
    classifier = SequenceClassifier(**QUICK | {"max_iter": 1}).fit(rows, y)
    with pytest.raises(ValueError, match="X: expected 2 numbers a step, as fit was given, got 3"):
        classifier.predict(np.ones((4, 5, 3)))
    with pytest.raises(ValueError, match="got 7"):
        classifier.predict([np.ones((4, 7))])
    with pytest.raises(ValueError, match=r"X: expected sequences of steps .* as fit was given, got a table"):
        classifier.predict(np.ones((4, 2)))
    of_table = SequenceClassifier(**QUICK | {"max_iter": 1}).fit(np.ones((20, 4)), y)
    with pytest.raises(ValueError, match=r"X: expected a table .* as fit was given, got sequences"):
        of_table.predict(np.ones((4, 4, 1)))
    assert classifier.predict(np.ones((4, 50, 2))).shape == (4,)  # any number of steps


def test_a_fit_that_fails_leaves_the_model_before() -> None:
    rows, y = ragged(20)
    classifier = SequenceClassifier(**QUICK | {"max_iter": 1}).fit(rows, y)
    before = classifier.predict_proba(rows)
    classifier.set_params(learning_rate=0)
    with pytest.raises(ValueError, match="learning_rate"):
        classifier.fit([10 * row for row in rows], np.where(y == "first", 1, 2))
    np.testing.assert_array_equal(classifier.predict_proba(rows), before)
    assert classifier.classes_.tolist() == ["first", "second"]


def test_a_model_that_diverges_says_so() -> None:
    rows, _ = ragged(20)
    regressor = SequenceRegressor(standardize=False, **QUICK)
    with pytest.raises(FloatingPointError, match=r"training: .* in epoch 1; expected finite numbers"):
        regressor.fit(rows, np.full(20, 1e300))


def test_the_package_says_what_is_missing() -> None:
    run_python("""
import sys
sys.modules["sklearn"] = None
try:
    import lstmfast.sklearn
except ImportError as error:
    assert "pip install 'lstmfast[sklearn]'" in str(error), error
else:
    raise AssertionError
import lstmfast
assert "lstmfast._fitting" not in sys.modules
""")
