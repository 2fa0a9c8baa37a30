"""What estimators are told of training, as `Settings` has it."""

from __future__ import annotations

import math
from typing import Any

from .._base import checks
from .._fitting import Settings
from ._random import seed_of


def settings_of(estimator: Any) -> Settings:
    """Check and rename its parameters: TypeError or ValueError that names the first that cannot be."""
    checks.integer(estimator.max_iter, "max_iter", 1)
    checks.integer(estimator.n_iter_no_change, "n_iter_no_change", 1)
    if not 0 <= checks.real(estimator.tol, "tol", "a number >= 0") < math.inf:
        raise ValueError(f"tol: expected a number >= 0, got {estimator.tol}")
    return Settings(
        epochs=estimator.max_iter,
        batch_size=estimator.batch_size,
        learning_rate=estimator.learning_rate,
        max_norm=estimator.max_norm,
        patience=estimator.n_iter_no_change,
        min_delta=estimator.tol,
        seed=seed_of(estimator.random_state),
    )
