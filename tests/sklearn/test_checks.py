"""scikit-learn's own checks of estimators."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import parametrize_with_checks

from lstmfast.sklearn import SequenceClassifier, SequenceRegressor

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


def not_ours(estimator: Any) -> dict[str, str]:
    return NOT_OURS


@parametrize_with_checks(  # type: ignore[untyped-decorator, unused-ignore]
    [SequenceClassifier(hidden_size=6, **SMALL), SequenceRegressor(hidden_size=16, **SMALL)],
    expected_failed_checks=not_ours,
)
def test_scikit_learns_own(estimator: Any, check: Any) -> None:
    check(estimator)
