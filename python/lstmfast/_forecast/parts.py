"""The parts of a series, in the order of time: each has one use, and no other."""

from __future__ import annotations

from dataclasses import dataclass

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
    def of(cls, rows: int, horizon: int, source: str = "values") -> Parts:
        """Cut so many rows: 60 %, 10 %, 15 %, 15 %; more for the second and third where they would be few.

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
        stop = max(round(0.1 * rows), 2 * horizon)
        train = rows - test - calibrate - stop
        return cls(train, train + stop, rows - test, rows)
