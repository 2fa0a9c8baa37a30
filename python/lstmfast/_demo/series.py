"""The series: years that are held out, the scaling of numbers, training windows, the measure of errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HELD_OUT = 60  # the last years, 1949 to 2008: five solar cycles that training never sees
WINDOW = 32  # years in one training window: about three solar cycles


@dataclass(frozen=True)
class Scaling:
    """Between sunspot numbers and what the model reads and writes: square root, then mean 0 and deviation 1.

    The square root because a count's spread grows with its size (Anscombe, Biometrika 35, 1948); after it,
    errors at maxima and at minima weigh alike.
    """

    mean: float
    deviation: float

    @classmethod
    def of(cls, numbers: NDArray[np.float64]) -> Scaling:
        """Scale by the mean and deviation of these numbers: give it training years only."""
        roots = np.sqrt(numbers)
        return cls(float(roots.mean()), float(roots.std()))

    def to_model(self, numbers: NDArray[np.float64]) -> NDArray[np.float32]:
        """Scale numbers, any shape."""
        return ((np.sqrt(numbers) - self.mean) / self.deviation).astype(np.float32)

    def to_numbers(self, scaled: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Undo `to_model`. There are no negative sunspots, so the root is cut at 0."""
        roots = scaled.astype(np.float64) * self.deviation + self.mean
        return np.maximum(roots, 0.0) ** 2


def windows(
    scaled: NDArray[np.float32], length: int = WINDOW
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cut a series [Y] into every window of `length` years.

    Returns
    -------
    x, target : float32 arrays [length, Y - length, 1]
        Time first. The target of each year is the next year.
    """
    both = np.lib.stride_tricks.sliding_window_view(scaled, length + 1).T[:, :, np.newaxis]
    return np.ascontiguousarray(both[:-1]), np.ascontiguousarray(both[1:])


def root_mean_squared_error(forecast: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """In the unit of the numbers."""
    return float(np.sqrt(np.mean((forecast - truth) ** 2)))
