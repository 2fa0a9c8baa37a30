"""Numbers of sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array, check_consistent_length

from ._estimator import SequenceEstimator, counted
from ._reading import read
from ._scaling import Scaling


class SequenceRegressor(RegressorMixin, SequenceEstimator):  # type: ignore[misc]
    """Says a number, or several, of each sequence: a recurrent layer, its last state, a linear output.

    Parameters
    ----------
    cell, hidden_size, num_layers, bidirectional, dropout, learning_rate, batch_size, max_iter, max_norm
        As of `SequenceClassifier`, and so all others.
    standardize : bool
        Of targets, too: what is predicted is in their own units all the same.

    Attributes
    ----------
    layer_, head_, history_, n_iter_, n_features_in_
        As of `SequenceClassifier`.

    Notes
    -----
    X is as for `SequenceClassifier`.
    """

    _targets: Scaling
    _one_target: bool
    _LOSS = "squared"
    _ACTIVATION = "identity"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SequenceRegressor:
        """Learn from sequences X and their numbers y, [n] or [n, K].

        sample_weight, [n] or None, says how much each sequence counts.
        """
        rows = read(self, X, reset=True)
        if y is None:
            # scikit-learn's words, which its checks look for.
            raise ValueError("requires y to be passed, but the target y is None: expected numbers [n]")
        y = check_array(y, ensure_2d=False, dtype="numeric", input_name="y", estimator=self)
        if y.ndim > 2 or 0 in y.shape or y.dtype.kind not in "biuf":
            raise ValueError(f"y: expected numbers of shape [n] or [n, K], got shape {y.shape}")
        check_consistent_length(rows, y)
        rows, y, weights = counted(rows, y, sample_weight)
        targets = y.reshape(len(y), -1).astype(np.float64)
        scaling = Scaling.of(targets) if self.standardize else Scaling.none(targets.shape[1])
        fitted = {"_targets": scaling, "_one_target": y.ndim == 1}
        self._train(rows, scaling.scaled(targets), targets.shape[1], weights=weights, fitted=fitted)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Say the numbers of each sequence, in the shape of y."""
        outputs = self._outputs(X)
        numbers = self._targets.to_numbers(outputs)
        return numbers[:, 0] if self._one_target else numbers

    def __sklearn_tags__(self) -> Any:
        """Say that y may have several columns."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
