"""Between the series' units and what is computed with: mean 0, deviation 1, some columns in logarithms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import SeriesError

__all__ = ["Scaling"]

_Values = NDArray[np.float64]


@dataclass(frozen=True)
class Scaling:
    """One of each for every column.

    Attributes
    ----------
    log : bool array [C]
    mean, deviation : float64 array [C]
        Of the training part, after the logarithm.
    """

    log: NDArray[np.bool_]
    mean: _Values
    deviation: _Values

    @classmethod
    def of(
        cls, training: _Values, positive: NDArray[np.bool_], block: int, names: tuple[str, ...]
    ) -> Scaling:
        """Learn it.

        Parameters
        ----------
        training : [N, C]
        positive : bool array [C]
            Whether the whole series is above 0, without which there are no logarithms.
        block : int
            Rows over which spread and size are compared, such as a year.
        names
            Of the columns, for messages.
        """
        for k, name in enumerate(names):
            if np.ptp(training[:, k]) == 0:
                raise SeriesError(
                    f"column {name!r}: expected numbers that change, got {training[0, k]:g} in all of the"
                    f" first {len(training)} rows, which are those to learn from"
                )
        log = np.array(
            [positive[k] and _spread_grows(training[:, k], block) for k in range(training.shape[1])]
        )
        z = _logarithms(training, log)
        return cls(log, z.mean(axis=0), z.std(axis=0))

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

    Only where levels differ enough for that to be seen.
    """
    count = len(column) // block
    if count < 5:
        return False
    blocks = column[-count * block :].reshape(count, block)
    level = np.log(blocks.mean(axis=1))
    spread = np.diff(blocks, axis=1).std(axis=1)
    if np.ptp(level) < np.log(1.5) or not (spread > 0).all():
        return False
    spread = np.log(spread)
    return bool(np.polyfit(level, spread, 1)[0] > 0.5 and np.corrcoef(level, spread)[0, 1] > 0.7)
