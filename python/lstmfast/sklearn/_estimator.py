"""What the estimators of sequences have in common: parameters, and the way through `fit`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .. import _layers
from .._base import checks
from .._base.checks import Array
from .._fitting import History, Sequences, apply, fit, streams
from ..training import Dense
from . import _held_out
from ._reading import Rows, chosen, read
from ._scaling import Scaling
from ._settings import settings_of
from ._telling import tell

CELLS = ("LSTM", "GRU", "RNN", "LayerNormLSTM")


class SequenceEstimator(BaseEstimator):  # type: ignore[misc]
    """Base of the estimators of whole sequences."""

    _LOSS: str
    _ACTIVATION: str

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
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.standardize = standardize
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.max_norm = max_norm
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    def _train(
        self,
        rows: Rows,
        targets: NDArray[Any],
        outputs: int,
        *,
        weights: NDArray[np.float64] | None,
        classes: NDArray[Any] | None = None,
        fitted: Mapping[str, object],
    ) -> None:
        """Make a layer and a head, train them, and set what is fitted; where that fails, nothing is set.

        Parameters
        ----------
        targets
            As `Sequences` takes them.
        outputs
            Of the head.
        classes : [n], or None
            Each has its part of what is held out.
        fitted
            Attributes that are set besides.
        """
        settings, fraction = settings_of(self), self._fraction()
        kind = getattr(_layers, checks.choice(self.cell, "cell", CELLS))
        for_layer, for_head, for_split = streams(settings.seed, 5)[2:]  # the first two are `fit`'s
        scaling = Scaling.of(rows) if checks.flag(self.standardize, "standardize") else None
        layer = kind(
            rows[0].shape[-1],
            self.hidden_size,
            self.num_layers,
            dropout=self.dropout,
            bidirectional=self.bidirectional,
            seed=for_layer,
        )
        head = Dense(layer._layout.features, outputs, self._ACTIVATION, seed=for_head)
        scaling = scaling or Scaling.none(layer.input_size)
        rows = scaling.to_model(rows)

        def part(places: NDArray[np.intp]) -> Sequences:
            own = None if weights is None else weights[places]
            return Sequences(chosen(rows, places), targets[places], weights=own)

        seen, unseen = _held_out.split(len(rows), fraction, for_split, classes)
        history = fit(
            layer,
            head,
            part(seen),
            loss=self._LOSS,
            held_out=part(unseen) if len(unseen) else None,
            settings=settings,
            on_epoch=tell if checks.flag(self.verbose, "verbose") else None,
        )
        for name, value in fitted.items():
            setattr(self, name, value)
        self.layer_, self.head_, self._scaling = layer, head, scaling
        self.history_: History = history
        self.n_iter_ = history.epochs
        if history.ended == "interrupted":
            warnings.warn(
                "fit: interrupted; the model has the best weights so far", UserWarning, stacklevel=3
            )

    def _outputs(self, X: Any) -> Array:
        """Compute the head's outputs [n, K]."""
        check_is_fitted(self)
        return apply(self.layer_, self.head_, self._scaling.to_model(read(self, X, reset=False)))

    def _fraction(self) -> float:
        """How much is held out."""
        fraction = checks.real(self.validation_fraction, "validation_fraction", "a number between 0 and 1")
        if not 0 < fraction < 1:
            raise ValueError(
                f"validation_fraction: expected a number between 0 and 1, got {self.validation_fraction}"
            )
        return fraction if checks.flag(self.early_stopping, "early_stopping") else 0.0

    def __sklearn_tags__(self) -> Any:
        """Say what X may be."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.non_deterministic = False
        return tags


def counted(
    rows: Rows, y: NDArray[Any], sample_weight: Any
) -> tuple[Rows, NDArray[Any], NDArray[np.float64] | None]:
    """Check sample weights, and leave out what has none: X, y and the weights of all that counts."""
    if sample_weight is None:
        return rows, y, None
    weights = checks.converted(checks.real_array(sample_weight, "sample_weight"), checks.FLOAT64)
    if weights.ndim == 0:
        weights = np.full(len(y), weights)
    if weights.shape != (len(y),):
        raise ValueError(
            f"sample_weight.shape == {weights.shape}, expected ({len(y)},)"
        )  # scikit-learn's words
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise ValueError("sample_weight: expected finite numbers, none below zero and not all zero")
    places = np.flatnonzero(weights)
    return chosen(rows, places), y[places], np.asarray(weights[places], np.float64)
