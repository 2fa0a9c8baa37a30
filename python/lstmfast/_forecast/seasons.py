"""Periods that a series may have: what its step suggests, and where it resembles itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["candidates"]

LONGEST = 500  # rows of a period that nothing but the autocorrelation suggests
PEAKS = 3  # of the autocorrelation, at most
LEAST = 0.1  # correlation at a peak


def candidates(z: NDArray[np.float64], suggested: list[int]) -> list[int]:
    """Return periods worth trying for z [N, C]; those that do not fit a third of it are left out."""
    longest = len(z) // 3 - 2
    found = [*suggested, *_peaks(autocorrelation(z, min(longest, LONGEST)))]
    return [period for period in dict.fromkeys(found) if 2 <= period <= longest]


def autocorrelation(z: NDArray[np.float64], lags: int) -> NDArray[np.float64]:
    """Return the mean autocorrelation of the columns, their linear trends taken away, [lags + 1]."""
    N = len(z)
    time = np.linspace(-1, 1, N)
    flat = z - z.mean(axis=0)
    flat = flat - np.outer(time, time @ flat / (time @ time))
    size = 2 ** int(np.ceil(np.log2(2 * N)))
    power = np.abs(np.fft.rfft(flat, size, axis=0)) ** 2
    sums = np.fft.irfft(power, size, axis=0)[: lags + 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[np.float64] = np.nan_to_num(sums / sums[0]).mean(axis=1)
    return found


def _peaks(correlation: NDArray[np.float64]) -> list[int]:
    """Return the lags of the highest peaks, the highest first."""
    middle = correlation[2:-1]
    peaks = 2 + np.flatnonzero((middle > LEAST) & (middle >= correlation[1:-2]) & (middle > correlation[3:]))
    return [int(lag) for lag in peaks[np.argsort(-correlation[peaks], kind="stable")][:PEAKS]]
