# Known by: _demo, lstmfast
"""Real series that the package ships, for the demo, the examples and the tests."""

from __future__ import annotations

import csv

import numpy as np
from numpy.typing import NDArray

__all__ = ["sunspots"]


def sunspots() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Yearly sunspot numbers, 1700 to 2008.

    Returns
    -------
    years : int64 array [309]
        1700, 1701, ..., 2008, without a gap.
    numbers : float64 array [309]
        Yearly mean of the daily sunspot number (no unit, never negative), in the scale used before its
        revision of 2015.

    Notes
    -----
    Source: NOAA National Geophysical Data Center, as distributed in statsmodels' sunspots data set; public
    domain. The file is read anew at each call, so the arrays are the caller's own to change.
    """
    from importlib import resources  # a tenth of this package's time to import

    file = resources.files("lstmfast") / "datasets" / "sunspots.csv"
    rows = list(csv.DictReader(file.read_text(encoding="ascii").splitlines()))
    years = np.array([int(row["YEAR"]) for row in rows], dtype=np.int64)
    numbers = np.array([float(row["SUNACTIVITY"]) for row in rows], dtype=np.float64)
    return years, numbers
