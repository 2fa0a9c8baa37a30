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
        mean = steps.mean(axis=0)
        deviation = np.sqrt(np.square(steps - mean).mean(axis=0))
        # Of a feature that does not change rounding alone may be left, which must not become 1.
        still = deviation <= 1e-12 * np.abs(steps).max(axis=0)
        return cls(mean, np.where(still, 1.0, deviation))

    def to_model(self, rows: Rows) -> Rows:
        """Scale sequences, in float32."""
        if isinstance(rows, np.ndarray):
            return self.scaled(rows)
        return [self.scaled(row) for row in rows]

    def to_numbers(self, scaled: NDArray[Any]) -> NDArray[np.float64]:
        """Undo it."""
        numbers: NDArray[np.float64] = scaled.astype(np.float64) * self.deviation + self.mean
        return numbers

    def scaled(self, numbers: NDArray[Any]) -> NDArray[np.float32]:
        """Scale numbers [..., I], in float32."""
        return checks.converted((numbers - self.mean) / self.deviation, checks.FLOAT32)
