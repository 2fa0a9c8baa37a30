"""What a forecaster has learned: all that a forecast needs, and nothing of how it came about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import SeriesError
from .intervals import LEVELS
from .network import Network
from .scaling import Scaling

__all__ = ["Learned", "Prediction"]

_Values = NDArray[np.float64]


@dataclass(frozen=True)
class Prediction:
    """A forecast, in the series' units.

    Attributes
    ----------
    mean : float64 array [H, C]
        The middle of what is expected of each row ahead. (Of columns in logarithms that is the median.)
    lower, upper : float64 array [levels, H, C]
        The ends of the intervals of `levels`.
    levels : tuple of float
        0.80 and 0.95.
    """

    mean: _Values
    lower: _Values
    upper: _Values
    levels: tuple[float, ...] = LEVELS


@dataclass(frozen=True)
class Learned:
    """The model.

    Attributes
    ----------
    names : tuple of str
        Of the C columns.
    step : str
        What is between rows, such as "1 hour"; empty: not known.
    scaling : Scaling
    network : Network
        With the baselines.
    widths : float64 array [levels, H, C]
        How far intervals reach to both sides, scaled.
    """

    names: tuple[str, ...]
    step: str
    scaling: Scaling
    network: Network
    widths: _Values

    @property
    def horizon(self) -> int:
        """H, rows ahead at the most."""
        return self.network.horizon

    @property
    def needs(self) -> int:
        """How many rows a forecast needs at the least."""
        return max(self.network.baselines.reach, 2)

    @property
    def reads(self) -> int:
        """How many rows a forecast reads at the most: earlier ones change nothing."""
        baselines = self.network.baselines
        return (
            2 * self.network.context + max(baselines.reach, baselines.linear.form.reach, baselines.period) + 2
        )

    def predict(self, values: _Values) -> Prediction:
        """Forecast the H rows after values [N, C], which are finite.

        Raises
        ------
        SeriesError
            If there are other columns, too few rows, or a number not above 0 where all were.
        """
        if values.shape[1] != len(self.names):
            raise SeriesError(
                f"history: expected {len(self.names)} columns as in what was learned from,"
                f" got {values.shape[1]}"
            )
        values = values[-self.reads :]
        if len(values) < self.needs:
            raise SeriesError(f"history: expected at least {self.needs} rows, got {len(values)}")
        self.scaling.check(values, self.names)
        z = self.network.forecast(self.scaling.to_model(values))[-1]
        return Prediction(
            self.scaling.to_values(z),
            self.scaling.to_values(z - self.widths),
            self.scaling.to_values(z + self.widths),
        )
