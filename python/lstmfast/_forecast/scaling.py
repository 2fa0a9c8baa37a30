"""Between the series' units and what is computed with: mean 0, deviation 1, some columns in logarithms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import SeriesError

__all__ = ["Scaling"]

_Values = NDArray[np.float64]
ROUNDING = 1e-12  # of the largest number: what changes by less does not
LARGEST = 1e100
NEAR_ZERO = 0.1  # of the mean of rows around


@dataclass(frozen=True)
class Scaling:
    """One of each for every column.

    Attributes
    ----------
    log : bool array [C]
        Columns that were above 0 throughout the training part, and whose spread grew with their level.
    mean, deviation : float64 array [C]
        Of the training part, after the logarithm.
    """

    log: NDArray[np.bool_]
    mean: _Values
    deviation: _Values

    @classmethod
    def of(
        cls,
        training: _Values,
        observed: NDArray[np.bool_],
        block: int,
        names: tuple[str, ...],
        *,
        logarithms: bool = True,
    ) -> Scaling:
        """Learn it from the training part, [N, C], and from nothing later.

        Parameters
        ----------
        observed : bool array [N, C]
            Which numbers are none that fill gaps.
        block : int
            Rows over which spread and size are compared, such as a year.
        names
            Of the columns, for messages.
        logarithms
            False: there are none.
        """
        known = np.where(observed, training, np.nan)
        for k, name in enumerate(names):
            least, most = np.nanmin(known[:, k]), np.nanmax(known[:, k])
            size = max(abs(least), abs(most))
            if most - least <= ROUNDING * size:
                raise SeriesError(
                    f"column {name!r}: expected numbers that change, got {least:g} in all of the"
                    f" first {len(training)} rows, which are those to learn from"
                )
            if size > LARGEST or most - least < 1 / LARGEST:
                raise SeriesError(
                    f"column {name!r}: expected numbers whose squares are numbers, got {least:g} to {most:g};"
                    " choose another unit"
                )
        log = np.array([logarithms and _spread_grows(column, block) for column in training.T])
        z = _logarithms(known, log)
        return cls(log, np.nanmean(z, axis=0), np.nanstd(z, axis=0))

    def check(self, values: _Values, names: tuple[str, ...], remedy: str = "") -> None:
        """See that values [N, C] have logarithms where they are needed: SeriesError where they have none."""
        for k in np.flatnonzero(self.log):
            row = int(values[:, k].argmin())
            if values[row, k] <= 0:
                raise SeriesError(
                    f"column {names[k]!r}: expected numbers above 0, as all were that the model has learned"
                    f" from, which is why it computes with logarithms; got {values[row, k]:g} in row {row}"
                    f" of {len(values)}{remedy}"
                )

    def to_model(self, values: _Values) -> _Values:
        """Scale [..., C]."""
        return (_logarithms(values, self.log) - self.mean) / self.deviation

    def to_values(self, z: _Values) -> _Values:
        """Undo `to_model`."""
        z = z * self.deviation + self.mean
        if self.log.any():
            with np.errstate(over="ignore"):
                z[..., self.log] = np.exp(z[..., self.log])
        return z


def _logarithms(values: _Values, log: NDArray[np.bool_]) -> _Values:
    values = np.array(values)
    if log.any():
        values[..., log] = np.log(values[..., log])
    return values


def _spread_grows(column: _Values, block: int) -> bool:
    """Whether changes from row to row grow with the level: log spread against log mean, by blocks.

    Only where levels differ enough for that to be seen, and numbers are above 0 and keep away from it: what
    comes near it may reach it later, and then has no logarithm.
    """
    count = len(column) // block
    if count < 5 or column.min() <= 0:
        return False
    blocks = column[-count * block :].reshape(count, block)
    if (blocks.min(axis=1) < NEAR_ZERO * blocks.mean(axis=1)).any():
        return False
    level = np.log(blocks.mean(axis=1))
    spread = np.diff(blocks, axis=1).std(axis=1)
    if np.ptp(level) < np.log(1.5) or not (spread > 0).all():
        return False
    spread = np.log(spread)
    return bool(np.polyfit(level, spread, 1)[0] > 0.5 and np.corrcoef(level, spread)[0, 1] > 0.7)
