"""The forecaster: learn from a series, be judged by its last rows, forecast onward with intervals."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._base import checks
from .._files import writing
from .._fitting import History, Settings
from . import evaluation, saved
from .baselines import Baselines
from .errors import SeriesError
from .evaluation import Evaluation
from .intervals import LEVELS, half_widths
from .learned import Learned, Prediction
from .network import Network, Shape
from .parts import Parts
from .scaling import Scaling

__all__ = ["Forecaster", "Prediction"]

_Values = NDArray[np.float64]


@dataclass
class Forecaster:
    """Forecasts the next rows of a series of one or more columns.

    Attributes
    ----------
    horizon : int >= 1
        H, rows ahead.
    cell : {"lstm", "gru"}
    hidden_size, num_layers : int >= 1
    period : int >= 2, 0 or None
        Rows of a season; 0: there is none; None: it is looked for.
    seasons : sequence of int
        Periods worth trying, where `period` is None.
    settings : Settings
        Of the training.
    seed : int >= 0
        Of the first weights; that of the order of windows is in `settings`.
    logarithms : bool
        Whether columns that are above 0 and whose spread grows with their level, both in the rows to learn
        from, are computed with in logarithms. All later numbers must be above 0 then.
    names : sequence of str
        Of the columns; empty: "column 1" and so on.
    step : str
        What is between rows, such as "1 hour": kept with the model, for whoever reads its file.
    """

    horizon: int = 12
    cell: str = "lstm"
    hidden_size: int = 24
    num_layers: int = 1
    period: int | None = None
    seasons: Sequence[int] = ()
    settings: Settings = field(default_factory=lambda: Settings(epochs=100, batch_size=8, patience=10))
    seed: int = 0
    logarithms: bool = True
    names: Sequence[str] = ()
    step: str = ""
    # What `fit` finds.
    learned: Learned | None = field(default=None, init=False)
    parts: Parts | None = field(default=None, init=False)
    history: History | None = field(default=None, init=False)
    evaluation: Evaluation | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Check what was chosen: TypeError or ValueError that names the first that cannot be."""
        checks.integer(self.horizon, "horizon", 1)
        checks.choice(self.cell, "cell", ("lstm", "gru"))
        checks.integer(self.hidden_size, "hidden_size", 1)
        checks.integer(self.num_layers, "num_layers", 1)
        if self.period is not None and checks.integer(self.period, "period", 0) == 1:
            raise ValueError("period: expected 0 (none) or at least 2 rows, got 1")
        checks.integer(self.seed, "seed", 0)
        checks.flag(self.logarithms, "logarithms")

    def fit(
        self,
        values: ArrayLike,
        *,
        filled: ArrayLike | None = None,
        on_epoch: Callable[[int, float, float | None], Any] | None = None,
    ) -> Forecaster:
        """Learn from a series, and measure what was learned by its last rows.

        Parameters
        ----------
        values : [N, C] or [N]
            At least `parts.FEWEST` rows and ten times the horizon, finite.
        filled : bool array like values, or None
            Numbers that are no truth, but fill gaps: nothing is trained on them or judged by them.
        on_epoch : callable
            As `lstmfast._fitting.fit` has it.

        Raises
        ------
        SeriesError
            If the series is too short, a column does not change, too much is missing, or a later number is
            not above 0 where logarithms are.
        """
        values, observed = self._checked(values, filled)
        parts = Parts.of(len(values), self.horizon, whole=np.asarray(observed.all(axis=1)))
        names = self._names(values.shape[1])
        if self.period and 3 * self.period > parts.train:
            raise SeriesError(
                f"period: expected at most {parts.train // 3} rows, a third of those to learn from,"
                f" got {self.period}"
            )
        suggested = [period for period in self.seasons if period >= 2]
        block = self.period or next((period for period in suggested if period >= 4), 12)
        scaling = Scaling.of(
            values[: parts.train], observed[: parts.train], block, names, logarithms=self.logarithms
        )
        scaling.check(values, names, "; logarithms=False (--no-logarithms) does without")
        z = scaling.to_model(values)
        baselines = Baselines.choose(
            z[: parts.stop],
            observed[: parts.stop],
            parts.train,
            self.horizon,
            period=self.period,
            seasons=suggested,
        )
        shape = Shape(self.cell, self.hidden_size, self.num_layers)
        anchor = baselines.ahead(z, self.horizon)
        network = Network.new(shape, baselines, z, observed, anchor, parts.train, self.seed)
        history = network.train(z, observed, anchor, parts.train, parts.stop, self.settings, on_epoch)
        if history.ended == "interrupted":
            raise KeyboardInterrupt

        ahead = anchor + network.corrections(z)
        truth = np.where(observed, z, np.nan)
        judging = half_widths(evaluation.residuals(truth, ahead, parts.stop, parts.calibrate))
        # What is forecast from here on may know all residuals of rows that the weights have not seen.
        widths = half_widths(evaluation.residuals(truth, ahead, parts.stop, parts.test))
        self.learned = Learned(names, self.step, scaling, network, widths)
        self.parts, self.history = parts, history
        self.evaluation = self._evaluated(values, z, observed, anchor, ahead, judging)
        return self

    def predict(self, history: ArrayLike, steps: int | None = None) -> Prediction:
        """Forecast the rows after a series.

        Parameters
        ----------
        history : [N, C] or [N]
            What was before, the last row being now: of the same columns as that which was learned from.
        steps : int
            Rows ahead, at most the horizon; None: all of it.

        Raises
        ------
        SeriesError
            If there are other columns, too few rows, or a number that is not above 0 where all were.
        """
        values, _ = self._checked(history, None)
        found = self._fitted()
        steps = found.horizon if steps is None else checks.integer(steps, "steps", 1)
        if steps > found.horizon:
            raise SeriesError(f"steps: expected at most the horizon learned, {found.horizon}, got {steps}")
        whole = found.predict(values)
        return Prediction(whole.mean[:steps], whole.lower[:, :steps], whole.upper[:, :steps])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what was learned to a safetensors file, which appears at once and whole."""
        writing.write(checks.path(path), saved.to_bytes(self._fitted()))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Forecaster:
        """Read what `save` wrote. There is no history then, and no evaluation."""
        learned = saved.load(path)
        shape = learned.network.shape
        made = cls(
            learned.horizon,
            shape.cell,
            shape.hidden_size,
            shape.num_layers,
            learned.network.baselines.period,
            names=learned.names,
            step=learned.step,
        )
        made.learned = learned
        return made

    def _evaluated(
        self,
        values: _Values,
        z: _Values,
        observed: NDArray[np.bool_],
        anchor: _Values,
        ahead: _Values,
        widths: _Values,
    ) -> Evaluation:
        """Judge by the test part; `widths` are of the calibration part alone."""
        scaling, network = self._fitted().scaling, self._fitted().network
        assert self.parts is not None
        first, end = self.parts.calibrate, self.parts.test
        baselines = network.baselines
        truth = np.where(observed, values, np.nan)
        lag = baselines.period or 1
        change = np.abs(truth[lag : self.parts.train] - truth[: self.parts.train - lag])
        unit = np.nanmean(change, axis=0)
        # Of a season that repeats exactly there is no change to measure by.
        deviation = np.nanstd(truth[: self.parts.train], axis=0)
        unit = np.where(unit > 1e-9 * deviation, unit, deviation)

        # Only rows of which everybody has said something.
        def errors(forecast: _Values) -> _Values:
            begin = max(0, first - self.horizon)
            said = np.full(forecast.shape, np.nan)
            said[begin:] = scaling.to_values(forecast[begin:])
            return evaluation.residuals(truth, said, first, end)

        origins = np.arange(len(z))
        found = {
            name: errors(
                anchor if name == baselines.anchor else baselines.forecast(name, z, origins, self.horizon)
            )
            for name in baselines.names
        }
        ours = errors(ahead)
        scores = [evaluation.score(name, each, unit) for name, each in found.items()]
        best = min(scores, key=lambda each: float(each.scaled.mean())).name
        missed = np.abs(evaluation.residuals(np.where(observed, z, np.nan), ahead, first, end))
        known = ~np.isnan(missed)
        counts = known.sum(axis=(0, 2))
        coverage = np.stack([(known & (missed <= width)).sum(axis=(0, 2)) / counts for width in widths])
        own = np.maximum(known.sum(axis=0).max(axis=1) / np.arange(1, self.horizon + 1), 1.0)
        spread = np.stack([np.sqrt(level * (1 - level) / own) for level in LEVELS])
        return Evaluation(
            end - first,
            evaluation.score(self.cell.upper(), ours, unit),
            scores,
            evaluation.compare(ours, found[best], unit, best),
            coverage,
            spread,
        )

    def _fitted(self) -> Learned:
        if self.learned is None:
            raise ValueError("forecaster: expected one that has learned; call fit first")
        return self.learned

    def _names(self, count: int) -> tuple[str, ...]:
        if self.names and len(self.names) != count:
            raise SeriesError(f"values: expected {len(self.names)} columns, as there are names, got {count}")
        return tuple(self.names) or tuple(f"column {k + 1}" for k in range(count))

    @staticmethod
    def _checked(values: object, filled: object) -> tuple[_Values, NDArray[np.bool_]]:
        array = checks.real_array(values, "values").astype(np.float64)
        array = array[:, np.newaxis] if array.ndim == 1 else array
        if array.ndim != 2 or 0 in array.shape:
            raise ValueError(f"values: expected shape [N, C] or [N], got {array.shape}")
        if not np.isfinite(array).all():
            row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
            raise SeriesError(f"values: expected finite numbers, got {array[row].tolist()} in row {row}")
        if filled is None:
            return array, np.ones(array.shape, bool)
        gaps = checks.array_of(filled, "filled", "b", "an array of bools")
        gaps = gaps[:, np.newaxis] if gaps.ndim == 1 else gaps
        if gaps.shape != array.shape:
            raise ValueError(f"filled: expected shape {array.shape} as values have, got {gaps.shape}")
        return array, ~gaps
