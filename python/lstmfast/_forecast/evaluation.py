"""Rolling-origin evaluation: every row of the test part is forecast 1, 2, ... rows ahead, by everybody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import SeriesError
from .intervals import LEVELS

__all__ = ["Comparison", "Evaluation", "Scores", "compare", "residuals", "score"]

_Values = NDArray[np.float64]
_NOTHING = "values: expected forecasts that can be judged, got too much that is missing among the last rows"
MATTERS = 0.01  # a difference of less is none to speak of, however certain


@dataclass(frozen=True)
class Scores:
    """Errors of one way of forecasting over the test part.

    Attributes
    ----------
    name : str
    mae, rmse : float64 array [H, C]
        Mean absolute and root mean squared error for each step ahead, in the series' units.
    scaled : float64 array [H]
        Mean absolute scaled error (Hyndman & Koehler 2006): `mae` in units of the mean change over a season
        (from row to row where there is none) in the training part, the mean of all columns. Where there is no
        such change, in units of the standard deviation.
    """

    name: str
    mae: _Values
    rmse: _Values
    scaled: _Values


@dataclass(frozen=True)
class Comparison:
    """The network's errors beside those of the best baseline.

    Attributes
    ----------
    baseline : str
        The one with the least mean scaled error: the test part itself has chosen it, to its advantage.
    change : float
        How much larger the network's mean scaled error is, as a part: -0.1 is 10 % less.
    low, high : float
        The 95 % interval of that: errors of rows near each other are alike, and are counted as such.
    """

    baseline: str
    change: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Return "better", "no better" (it may be chance, or is too little to matter) or "worse"."""
        if abs(self.change) < MATTERS:
            return "no better"
        return "better" if self.high < 0 else "worse" if self.low > 0 else "no better"


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Attributes
    ----------
    rows : int
        Of the test part.
    network : Scores
    baselines : list of Scores
    comparison : Comparison
    coverage : float64 array [levels, H]
        Part of the test rows that were within the interval, of all columns.
    spread : float64 array [levels, H]
        Standard error of that, were the interval right: forecasts of h rows ahead miss together for about h
        rows.
    """

    rows: int
    network: Scores
    baselines: list[Scores]
    comparison: Comparison
    coverage: _Values
    spread: _Values

    @property
    def too_narrow(self) -> bool:
        """Whether intervals held less often than chance explains: the rows differ from those before them.

        By three standard errors at some step; as both the widths and what they are tried on are drawn, of
        twice the variance.
        """
        level = np.array(LEVELS)[:, np.newaxis]
        return bool((self.coverage < level - 3 * np.sqrt(2) * self.spread).any())


def residuals(truth: _Values, forecast: _Values, first: int, end: int) -> _Values:
    """Truth [N, C] minus forecast [N, H, C], by the row that is forecast: [end - first, H, C].

    Entry [s, h] is of row first + s, said h + 1 rows before. NaN where truth is, or nothing was said.
    Nothing counts as said from a row in which a number is missing: what fills it is a line to the number
    after the gap, which a forecast from there would know beforehand.
    """
    H = forecast.shape[1]
    rows = np.arange(first, end)[:, np.newaxis]
    origins = rows - np.arange(1, H + 1)
    said = forecast[np.maximum(origins, 0), np.arange(H)]
    whole = np.asarray(~np.isnan(truth).any(axis=1))
    counts = (origins >= 0) & whole[np.maximum(origins, 0)]
    found: _Values = np.where(counts[..., np.newaxis], truth[rows] - said, np.nan)
    return found


def score(name: str, errors: _Values, unit: _Values) -> Scores:
    """Score errors [n, H, C]; unit [C] is what `scaled` divides by.

    Raises
    ------
    SeriesError
        If there are none of some step and column.
    """
    if np.isnan(errors).all(axis=0).any():
        raise SeriesError(_NOTHING)
    mae = np.nanmean(np.abs(errors), axis=0)
    return Scores(name, mae, np.sqrt(np.nanmean(errors**2, axis=0)), (mae / unit).mean(axis=1))


def compare(
    network: _Values, baseline: _Values, unit: _Values, name: str, errors: float = 1.96
) -> Comparison:
    """Compare errors [n, H, C] of both, row by row.

    F. X. Diebold, R. S. Mariano, "Comparing predictive accuracy", JBES 13, 1995; the variance of the mean
    with Bartlett's weights over twice the horizon, as neighbouring rows are forecast from nearly the same.
    The interval reaches as many standard `errors` to both sides. SeriesError if there is nothing to compare.
    """
    known = ~np.isnan(network + baseline).all(axis=(1, 2))  # rows that have a truth in some column
    if not known.any():
        raise SeriesError(_NOTHING)
    ours, theirs = (np.nanmean(np.abs(e[known]) / unit, axis=(1, 2)) for e in (network, baseline))
    difference = ours - theirs
    n, mean = len(difference), difference.mean()
    centred = difference - mean
    reach = min(2 * network.shape[1], n // 3)
    variance = centred @ centred / n
    for lag in range(1, reach + 1):
        variance += 2 * (1 - lag / (reach + 1)) * (centred[lag:] @ centred[:-lag]) / n
    error = errors * np.sqrt(max(variance, 0.0) / n)
    size = theirs.mean() or 1.0
    return Comparison(name, float(mean / size), float((mean - error) / size), float((mean + error) / size))
