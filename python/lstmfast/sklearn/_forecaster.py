"""Forecasts of series."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted, validate_data

from .._base import checks
from .._forecast.forecaster import Forecaster, Prediction
from ._settings import settings_of
from ._telling import tell

Values = NDArray[np.float64]


class SequenceForecaster(BaseEstimator):  # type: ignore[misc]
    """Forecasts the next rows of a series: what `lstmfast forecast` does, as an estimator.

    A recurrent network corrects the best of some simple forecasts; where it does not make that better on rows
    held out, the simple one stays. Intervals are as wide as errors were, for each step ahead.

    Parameters
    ----------
    horizon : int >= 1
        H, how many rows ahead.
    cell : {"LSTM", "GRU"}
        The recurrent layer, one of lstmfast's.
    hidden_size, num_layers : int >= 1
        Its size and depth.
    period : int >= 2, 0 or None
        Rows of a season; 0: there is none; None: it is looked for.
    logarithms : bool
        Whether columns that are above 0 and whose spread grows with their level, both in the rows to learn
        from, are computed with in logarithms. All later numbers must be above 0 then.
    learning_rate : float > 0
        Adam's.
    batch_size : int >= 1
        Windows of a step.
    max_iter : int >= 1
        Epochs at most.
    max_norm : float > 0
        Longer gradients are scaled down to this.
    n_iter_no_change : int >= 1
        Epochs without a held-out loss that is better by `tol` after which training ends. Held out are later
        rows.
    tol : float >= 0
        In units of the loss.
    random_state : None, int or RandomState
        An integer makes the model the same every time.
    verbose : bool
        Whether to print the losses of each epoch.

    Attributes
    ----------
    forecaster_
        What was learned.
    evaluation_
        How it and simple forecasts did on the last rows, which neither had seen.
    history_, n_iter_
        Losses of each epoch, and how many there were.
    n_features_in_ : int
        C, columns.

    Notes
    -----
    X is a series [N] or [N, C] of at least 100 rows (and ten times the horizon), the oldest first, without
    gaps. `fit` and `score` take a y, which they do not use, as scikit-learn's tools hand them one: what is
    to be forecast is X itself. For cross-validation there is scikit-learn's `TimeSeriesSplit`; other ways to
    split would train on what comes after.
    """

    _one_column: bool

    def __init__(
        self,
        horizon: int = 12,
        cell: str = "LSTM",
        hidden_size: int = 32,
        num_layers: int = 1,
        *,
        period: int | None = None,
        logarithms: bool = True,
        learning_rate: float = 3e-3,
        batch_size: int = 32,
        max_iter: int = 100,
        max_norm: float = 1.0,
        n_iter_no_change: int = 10,
        tol: float = 0.0,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.horizon = horizon
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.period = period
        self.logarithms = logarithms
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.max_norm = max_norm
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> SequenceForecaster:
        """Learn from a series X, [N] or [N, C]."""
        checks.choice(self.cell, "cell", ("LSTM", "GRU"))
        series = self._read(X, reset=True)
        settings = settings_of(self)
        assert settings.seed is not None
        forecaster = Forecaster(
            self.horizon,
            self.cell.lower(),
            self.hidden_size,
            self.num_layers,
            self.period,
            settings=settings,
            seed=settings.seed,
            logarithms=self.logarithms,
        )
        forecaster.fit(series, on_epoch=tell if checks.flag(self.verbose, "verbose") else None)
        assert forecaster.history is not None
        assert forecaster.learned is not None
        self.forecaster_ = forecaster
        self.history_, self.evaluation_ = forecaster.history, forecaster.evaluation
        self.n_iter_ = self.history_.epochs
        self._last = series[-forecaster.learned.reads :].copy()
        return self

    def forecast(self, steps: int | None = None, X: Any = None) -> Values:
        """Forecast the rows after the series that was learned from, or after another, X.

        Parameters
        ----------
        steps : int
            Rows ahead, at most the horizon; None: all of it.
        X : [N] or [N, C]
            A series of the same columns, the last row being now. None: that of `fit`.

        Returns
        -------
        [steps] or, where `fit` was given [N, C], [steps, C]
        """
        return self._shaped(self._ahead(steps, X).mean)

    def forecast_interval(
        self, steps: int | None = None, X: Any = None, *, level: float = 0.95
    ) -> tuple[Values, Values]:
        """Say between which numbers the rows ahead will be.

        Parameters
        ----------
        steps, X
            As of `forecast`.
        level : {0.80, 0.95}
            How probable it is to be: for each row and column by itself.

        Returns
        -------
        lower, upper
            Shaped like the forecast.
        """
        ahead = self._ahead(steps, X)
        if level not in ahead.levels:
            raise ValueError(f"level: expected one of {ahead.levels}, got {checks.shown(level)}")
        place = ahead.levels.index(level)
        return self._shaped(ahead.lower[place]), self._shaped(ahead.upper[place])

    def predict(self, X: Any) -> Values:
        """Say after each row of X, which knows it and those before it, what the next H rows will be.

        Returns
        -------
        [N, H] or, where `fit` was given [N, C], [N, H, C]
            ``predict(X)[t, h]`` is of row t + 1 + h. The last is `forecast`'s. Of the first rows, before
            which there is too little to read, the next ones are said to be the same.
        """
        check_is_fitted(self)
        series = self._read(X, reset=False)
        learned = self.forecaster_.learned
        assert learned is not None
        scaling, network = learned.scaling, learned.network
        scaling.check(series, learned.names)
        ahead = scaling.to_values(network.forecast(scaling.to_model(series)))
        ahead = np.where(np.isnan(ahead), series[:, np.newaxis], ahead)
        return ahead[..., 0] if self._one_column else ahead

    def score(self, X: Any, y: Any = None) -> float:
        """Score the forecasts after each row of X: R^2, the mean over steps ahead and columns.

        Only rows count before which there was enough to read, and of which the next H are in X.
        """
        predicted, series = self.predict(X), self._read(X, reset=False)
        learned = self.forecaster_.learned
        assert learned is not None
        first, last = learned.needs - 1, len(series) - learned.horizon
        if last - first < 2:
            needed = first + 2 + learned.horizon
            raise ValueError(f"X: expected at least {needed} rows to score by, got {len(series)}")
        places = np.arange(first, last)[:, np.newaxis] + np.arange(1, learned.horizon + 1)
        truth, said = (
            series[places].reshape(last - first, -1),
            predicted[first:last].reshape(last - first, -1),
        )
        return float(r2_score(truth, said))

    def _ahead(self, steps: int | None, X: Any) -> Prediction:
        check_is_fitted(self)
        if X is None:
            return self.forecaster_.predict(self._last, steps)
        series, learned = self._read(X, reset=False), self.forecaster_.learned
        assert learned is not None
        if len(series) < learned.needs:
            raise ValueError(f"X: expected at least {learned.needs} rows to forecast from, got {len(series)}")
        return self.forecaster_.predict(series, steps)

    def _shaped(self, values: Values) -> Values:
        return values[:, 0] if self._one_column else values

    def _read(self, X: Any, *, reset: bool) -> Values:
        """Check a series; [N] becomes [N, 1]."""
        given = X if hasattr(X, "ndim") else np.asarray(X)
        one_column: bool = given.ndim == 1
        if not reset and one_column and not self._one_column:
            raise ValueError(
                f"X: expected shape [N, {self.n_features_in_}], as fit was given, got {given.shape}."
                " Reshape your data"
            )
        table = np.asarray(given)[:, np.newaxis] if one_column else X
        series = validate_data(self, table, reset=reset, dtype=np.float64)
        if reset:
            self._one_column = one_column
        return np.asarray(series)
