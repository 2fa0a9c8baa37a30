"""scikit-learn's own checks of estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import parametrize_with_checks

from lstmfast.sklearn import SequenceClassifier, SequenceForecaster, SequenceRegressor

SMALL: dict[str, Any] = {
    "max_iter": 25,
    "n_iter_no_change": 5,
    "learning_rate": 0.03,
    "batch_size": 16,
    "random_state": 0,
}

# docs/sklearn.md says why, too.
NOT_OURS = {
    "check_sample_weight_equivalence_on_dense_data": "a row twice is two rows of batches",
}
NOT_OF_SERIES = {
    "check_methods_sample_order_invariance": "rows are in the order of time",
    "check_methods_subset_invariance": "a row is forecast from those before it",
    "check_fit2d_1sample": "a series has at least 100 rows, and says so",
}


class Repeated(SequenceForecaster):
    """The forecaster of as many rows as it asks for: scikit-learn's data has 10 to 80."""

    def fit(self, X: Any, y: Any = None) -> Repeated:
        if isinstance(X, np.ndarray) and X.dtype.kind in "biufO" and X.ndim == 2 and len(X) > 1:
            X = np.concatenate([X] * (-(-120 // len(X))))
        super().fit(X, y)
        return self


def not_ours(estimator: Any) -> dict[str, str]:
    return NOT_OF_SERIES if isinstance(estimator, SequenceForecaster) else NOT_OURS


@parametrize_with_checks(  # type: ignore[untyped-decorator, unused-ignore]
    [
        SequenceClassifier(hidden_size=6, **SMALL),
        SequenceRegressor(hidden_size=16, **SMALL),
        Repeated(horizon=2, hidden_size=4, max_iter=2, random_state=0),
    ],
    expected_failed_checks=not_ours,
)
def test_scikit_learns_own(estimator: Any, check: Any) -> None:
    check(estimator)
