"""Intervals from held-out residuals: split conformal prediction, one step ahead at a time.

Of n residuals that are exchangeable with the next, the next is not larger than the ceil((n + 1) p)-th
smallest with probability p at least: V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random
World", 2005; J. Lei and others, "Distribution-free predictive inference for regression", JASA 113, 2018.
Residuals of a series are not quite exchangeable, which is why coverage is measured on later rows and printed.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .errors import SeriesError

__all__ = ["LEVELS", "half_widths"]

LEVELS = (0.80, 0.95)


def half_widths(residuals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far intervals reach to both sides, [levels, H, C].

    Parameters
    ----------
    residuals : [n, H, C]
        Truth minus forecast of each step ahead; NaN where there is no truth.

    Raises
    ------
    SeriesError
        If there are too few of some step for the widest interval.
    """
    ordered = np.sort(np.abs(residuals), axis=0)  # NaN last
    counts = np.count_nonzero(~np.isnan(residuals), axis=0)  # [H, C]
    widths = np.empty((len(LEVELS), *counts.shape))
    for k, level in enumerate(LEVELS):
        # 1e-9: (n + 1) p may be a whole number that is not one in floating point.
        rank = np.ceil((counts + 1) * level - 1e-9).astype(np.int64)
        if (rank > counts).any():
            needed = math.ceil(level / (1 - level) - 1e-9)
            raise SeriesError(
                f"expected at least {needed} rows with a number to measure the {level:.0%} interval by, got"
                f" {counts.min()}: too much is missing in the last third of the series"
            )
        widths[k] = np.take_along_axis(ordered, rank[np.newaxis] - 1, axis=0)[0]
    return widths
