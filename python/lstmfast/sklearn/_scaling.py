"""Numbers brought to mean 0 and deviation 1, feature by feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._base import checks
from ._reading import Rows


@dataclass(frozen=True, eq=False)
class Scaling:
    """Between numbers and what the model reads or writes."""

    mean: NDArray[np.float64]  # [I]
    deviation: NDArray[np.float64]  # [I]; 1 where a feature never changes

    @classmethod
    def of(cls, rows: Rows) -> Scaling:
        """Find it over all steps of all sequences."""
        steps = rows.reshape(-1, rows.shape[-1]) if isinstance(rows, np.ndarray) else np.concatenate(rows)
        return cls._of_steps(steps.astype(np.float64))

    @classmethod
    def none(cls, features: int) -> Scaling:
        """Leave numbers as they are."""
        return cls(np.zeros(features), np.ones(features))

    @classmethod
    def _of_steps(cls, steps: NDArray[np.float64]) -> Scaling:
        # By powers of two, which change no bit, so that no sum or square is beyond what float64 can hold.
        size = _size(steps)
        mean = (steps / size).mean(axis=0) * size
        centred = steps - mean
        size = _size(centred)
        deviation = np.sqrt(np.square(centred / size).mean(axis=0)) * size
        # Of a feature that does not change rounding alone may be left, which must not become 1.
        still = deviation <= 1e-12 * np.abs(steps).max(axis=0)
        return cls(mean, np.where(still, 1.0, deviation))

    def to_model(self, rows: Rows) -> Rows:
        """Scale sequences, in float32."""
        if isinstance(rows, np.ndarray):
            return self._fitting(rows, "X")
        return [self._fitting(row, f"X[{k}]") for k, row in enumerate(rows)]

    def _fitting(self, numbers: NDArray[Any], name: str) -> NDArray[np.float32]:
        found = self.scaled(numbers)
        if not np.isfinite(found).all():
            place = tuple(int(k) for k in np.argwhere(~np.isfinite(found))[0])
            raise ValueError(
                f"{name}: expected numbers that float32 can hold, less the mean and by the deviation that fit"
                f" found, got {numbers[place]:g} at {place}"
            )
        return found

    def to_numbers(self, scaled: NDArray[Any]) -> NDArray[np.float64]:
        """Undo it."""
        numbers: NDArray[np.float64] = scaled.astype(np.float64) * self.deviation + self.mean
        return numbers

    def scaled(self, numbers: NDArray[Any]) -> NDArray[np.float32]:
        """Scale numbers [..., I], in float32."""
        return checks.converted((numbers - self.mean) / self.deviation, checks.FLOAT32)


def _size(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the power of two that is as large as the largest of each feature, [I]; of zeros a half."""
    _, exponent = np.frexp(np.abs(steps).max(axis=0))
    size: NDArray[np.float64] = np.ldexp(1.0, exponent - 1)
    return size
