"""Gaps: rows that are missing, and numbers that are. Filled by straight lines, counted, and limited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import SeriesError

__all__ = ["MOST", "MOST_IN_A_ROW", "Filled", "fill"]

MOST = 0.2  # of a column
MOST_IN_A_ROW = 0.05  # of the rows


@dataclass(frozen=True)
class Filled:
    """A series without gaps.

    Attributes
    ----------
    places : int64 array [N]
        Of its rows on the grid of times: consecutive.
    values : float64 array [N, C]
    filled : bool array [N, C]
        Which of them are lines between neighbours.
    notes : list of str
        What was done.
    """

    places: NDArray[np.int64]
    values: NDArray[np.float64]
    filled: NDArray[np.bool_]
    notes: list[str]


def fill(
    source: str,
    names: tuple[str, ...],
    values: NDArray[np.float64],
    places: NDArray[np.int64],
    said: Callable[[int], str],
) -> Filled:
    """Put rows at their places, and draw straight lines where there are none.

    Rows before the first and after the last in which every column has a number are left out. `said` says
    what time a place is, for messages.

    Raises
    ------
    SeriesError
        If more than `MOST` of a column is missing, or more than `MOST_IN_A_ROW` of all rows in one gap.
    """
    whole = np.flatnonzero(~np.isnan(values).any(axis=1))
    if whole.size < 2:
        raise SeriesError(
            f"{source}: expected rows with numbers in all of {', '.join(names)}, got {whole.size}"
        )
    first, last = whole[0], whole[-1]
    notes = []
    if first:
        notes.append(f"The first {_rows(int(first))} left out: numbers are missing there.")
    if count := len(values) - 1 - last:
        notes.append(
            f"The last {_rows(int(count))} left out: numbers are missing there. The forecast begins after"
            f" {said(int(places[last]))}."
        )
    places = places[first : last + 1]
    length = int(places[-1] - places[0]) + 1
    if length > 2 * len(values) + 10:  # before memory is taken for them
        raise SeriesError(
            f"{source}: expected at most {MOST:.0%} of the rows missing, got {len(values)} rows where"
            f" {length} would be regular"
        )
    grid = np.full((length, values.shape[1]), np.nan)
    grid[places - places[0]] = values[first : last + 1]
    missing = np.isnan(grid)
    for k, name in enumerate(names):
        if missing[:, k].any():
            notes.append(_fill_column(source, name, grid[:, k], lambda row: said(int(places[0]) + row)))
    return Filled(np.arange(places[0], places[-1] + 1), grid, missing, notes)


def _fill_column(source: str, name: str, column: NDArray[np.float64], said: Callable[[int], str]) -> str:
    """Fill one column, in place; return what is to be said of it."""
    missing = np.isnan(column)
    known = np.flatnonzero(~missing)
    longest = int(np.diff(known).max()) - 1
    count, rows = int(missing.sum()), len(column)
    allowed = max(1, int(MOST_IN_A_ROW * rows))
    if count > MOST * rows:
        raise SeriesError(
            f"{source}: expected at most {MOST:.0%} of the column {name!r} missing, got {count / rows:.0%}"
            f" ({count} of {rows})"
        )
    if longest > allowed:
        where = said(int(known[np.diff(known).argmax()]))
        raise SeriesError(
            f"{source}: expected gaps of at most {_rows(allowed)} ({MOST_IN_A_ROW:.0%} of all) in the column"
            f" {name!r}, got one of {longest} after {where}: a line across it"
            " would be made up; cut the series there, or fill it in"
        )
    column[missing] = np.interp(np.flatnonzero(missing), known, column[known])
    return (
        f"{count} of {rows} numbers of {name!r} are missing (at most {longest} in a row): filled by straight"
        " lines, which are read and never counted as a truth; no forecast from within a gap is judged."
    )


def _rows(count: int) -> str:
    return f"{count} row{'s' if count != 1 else ''}"
