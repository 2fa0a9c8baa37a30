"""The parts of a series, in the order of time: each has one use, and no other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import SeriesError

__all__ = ["FEWEST", "Parts"]

FEWEST = 100  # rows
CALIBRATION = 20  # rows at the least: the 95 % quantile of fewer than 19 residuals is not bounded


@dataclass(frozen=True)
class Parts:
    """Where parts end, as rows: a forecast belongs to that in which the row lies that it is of.

    Attributes
    ----------
    train : int
        Rows before it: scaling, baselines and weights are learned from these.
    stop : int
        From `train` to here: when training ends.
    calibrate : int
        From `stop` to here: how wide intervals are.
    test : int
        From `calibrate` to here, the end: what is reported.
    """

    train: int
    stop: int
    calibrate: int
    test: int

    @classmethod
    def of(
        cls,
        rows: int,
        horizon: int,
        source: str = "values",
        whole: NDArray[np.bool_] | None = None,
    ) -> Parts:
        """Cut so many rows: 60 %, 10 %, 15 %, 15 %; more for the second and third where they would be few.

        whole [rows] says in which nothing is missing; None: in all.

        Raises
        ------
        SeriesError
            If there are fewer than `FEWEST` rows, or fewer than ten times the horizon.
        """
        if rows < FEWEST:
            raise SeriesError(
                f"{source}: expected at least {FEWEST} rows, got {rows}: of fewer there is no telling whether"
                " a forecast is right"
            )
        if rows < 10 * horizon:
            raise SeriesError(
                f"{source}: expected at least ten times the horizon, {10 * horizon} rows, got {rows};"
                f" a horizon of {rows // 10} can be had"
            )
        test = round(0.15 * rows)
        calibrate = max(CALIBRATION, test)
        if whole is not None:
            calibrate = _with_enough(calibrate, rows - test, horizon, whole)
        stop = max(round(0.1 * rows), 2 * horizon)
        train = rows - test - calibrate - stop
        return cls(train, train + stop, rows - test, rows)


def _with_enough(count: int, end: int, horizon: int, whole: NDArray[np.bool_]) -> int:
    """Return how many rows before `end` have enough that can be judged, up to a third of all.

    A row can be, for a step ahead, if nothing is missing in it, nor in that from which it was forecast.
    """
    most = max(count, len(whole) // 3)
    while count < most:
        rows = np.arange(end - count, end)[:, np.newaxis]
        fair = whole[rows] & whole[rows - np.arange(1, horizon + 1)]
        short = CALIBRATION - int(fair.sum(axis=0).min())
        if short <= 0:
            break
        count = min(count + short, most)
    return count
