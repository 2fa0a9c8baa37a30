"""Classes of sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, check_consistent_length, column_or_1d

from .._base.checks import Array
from ._estimator import SequenceEstimator, counted
from ._reading import read


class SequenceClassifier(ClassifierMixin, SequenceEstimator):  # type: ignore[misc]
    """Says of each sequence which class it is of: a recurrent layer, its last state, a softmax.

    Parameters
    ----------
    cell : {"LSTM", "GRU", "RNN", "LayerNormLSTM"}
        The recurrent layer, one of lstmfast's.
    hidden_size, num_layers : int >= 1
        Its size and depth.
    bidirectional : bool
        Whether it also reads from the last step to the first.
    dropout : float from 0 to 1
        Between layers.
    standardize : bool
        Whether numbers are brought to mean 0 and deviation 1, each feature over all steps of all sequences.
    learning_rate : float > 0
        Adam's.
    batch_size : int >= 1
        Sequences of a step; those of about the same length go together.
    max_iter : int >= 1
        Epochs at most.
    max_norm : float > 0
        Longer gradients are scaled down to this.
    early_stopping : bool
        Whether a part of the sequences is held out, and training ends when its loss falls no more; the
        weights are then those with which it was least.
    validation_fraction : float between 0 and 1
        How much is held out, of each class.
    n_iter_no_change : int >= 1
        Epochs without a loss that is better by `tol` after which it ends.
    tol : float >= 0
        In units of the loss.
    class_weight : None, "balanced", or a mapping from labels to numbers
        How much the sequences of each class count: as in scikit-learn.
    random_state : None, int or RandomState
        An integer makes the model the same to the bit, on any machine and number of threads.
    verbose : bool
        Whether to print the losses of each epoch.

    Attributes
    ----------
    classes_ : array [C]
        The labels, sorted.
    layer_, head_
        The trained layer (to be saved, streamed, quantized) and the `training.Dense` on its last state.
        They work on numbers that are standardized.
    history_
        Losses of each epoch, the best one, and how training ended.
    n_iter_ : int
        Epochs done.
    n_features_in_ : int
        Numbers a step; columns, where X was a table.

    Notes
    -----
    X is an array [n, T, I]; a list of n arrays [T_k, I], of different lengths; or a table [n, features],
    which is read as sequences of one number a step.
    """

    classes_: NDArray[Any]
    _LOSS = "cross_entropy"
    _ACTIVATION = "softmax"

    def __init__(
        self,
        cell: str = "LSTM",
        hidden_size: int = 32,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
        standardize: bool = True,
        learning_rate: float = 1e-2,
        batch_size: int = 32,
        max_iter: int = 100,
        max_norm: float = 1.0,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 0.0,
        class_weight: Any = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            cell,
            hidden_size,
            num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            standardize=standardize,
            learning_rate=learning_rate,
            batch_size=batch_size,
            max_iter=max_iter,
            max_norm=max_norm,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SequenceClassifier:
        """Learn from sequences X and their labels y [n], of at least two classes.

        sample_weight, [n] or None, says how much each sequence counts.
        """
        rows = read(self, X, reset=True)
        if y is None:
            # scikit-learn's words, which its checks look for.
            raise ValueError("requires y to be passed, but the target y is None: expected labels [n]")
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        check_consistent_length(rows, y)
        rows, y, weights = counted(rows, y, sample_weight)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y: expected at least two classes, got one class, {classes.tolist()[0]!r}")
        if self.class_weight is not None:
            by_class = compute_sample_weight(self.class_weight, y)
            if not (np.isfinite(by_class).all() and (by_class >= 0).all() and by_class.any()):
                raise ValueError(
                    "class_weight: expected finite numbers, none below zero and not all zero,"
                    f" got {self.class_weight!r}"
                )
            # A class without weight is one that can be said, of which nothing is learned.
            rows, codes, weights = counted(rows, codes, by_class if weights is None else weights * by_class)
        self._train(rows, codes, len(classes), weights=weights, classes=codes, fitted={"classes_": classes})
        return self

    def predict_proba(self, X: Any) -> Array:
        """Say how probable each class is for each sequence: [n, C], in the order of `classes_`."""
        return self._outputs(X)

    def predict_log_proba(self, X: Any) -> Array:
        """Say the logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            logarithms: Array = np.log(self.predict_proba(X))
        return logarithms

    def predict(self, X: Any) -> NDArray[Any]:
        """Say the most probable label of each sequence: [n]."""
        probabilities = self.predict_proba(X)
        labels: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return labels
