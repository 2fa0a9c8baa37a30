"""The series that is forecast: chosen columns on a regular grid of times, gaps found and filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import dates, numbers, steps
from .errors import SeriesError
from .gaps import fill
from .steps import Step
from .table import Table

__all__ = ["Series", "choose"]

TIME_NAMES = {"time", "t", "date", "datetime", "timestamp", "ds", "when", "index", "step"}
TIME_NAMES |= {"year", "month", "week", "day", "hour"}


@dataclass(frozen=True)
class Series:
    """Values at regular times.

    Attributes
    ----------
    source : str
        Where they are from.
    time_name : str
        What the column of times is called; "row" where there is none.
    names : tuple of str
        Of the C columns.
    times : datetime64 or float64 array [N]
    step : Step
    utc : bool
        Whether times had zones, and are UTC now.
    values : float64 array [N, C]
        Finite: gaps are filled.
    filled : bool array [N, C]
        Where.
    notes : tuple of str
        What was chosen and changed, in sentences.
    """

    source: str
    time_name: str
    names: tuple[str, ...]
    times: NDArray[Any]
    step: Step
    utc: bool
    values: NDArray[np.float64]
    filled: NDArray[np.bool_]
    notes: tuple[str, ...]

    def ahead(self, horizon: int) -> NDArray[Any]:
        """Return the times of the next rows, [horizon]."""
        return self.step.times(self.times[0], len(self.times) + np.arange(horizon))

    def shown(self, times: NDArray[Any]) -> list[str]:
        """Write times as the output has them: ISO 8601, no finer than the series; or numbers."""
        return _shown(times, self.times, self.utc)


def choose(
    table: Table, columns: Sequence[str] = (), time: str | None = None, *, option: str = "--column"
) -> Series:
    """Choose columns of a table and put them on a grid.

    Parameters
    ----------
    table
        With any columns.
    columns
        Names of the values'; none: the first with numbers that is not the time.
    time
        Name of the column of times; None: the first with dates, or else a first column of numbers that go up
        in equal steps, or is called like a time.
    option
        What asked for the columns, in messages.

    Raises
    ------
    SeriesError
        If a column is not there or has no numbers, or times go backwards, come twice, or have no regular
        step; or if too much is missing (`gaps.fill`).
    """
    if (rows := len(table.lines)) < 2:
        raise SeriesError(f"{table.source}: expected a series, got {rows} row{'s'[: rows != 1]}")
    if len(set(columns)) < len(columns):
        raise SeriesError(f"{option}: expected each column once, got {', '.join(map(repr, columns))}")
    for name in columns:
        table.column(name, option)
    if time is not None:
        table.column(time, "--time")
        if time in columns:
            raise SeriesError(f"{option}: {time!r} is the column of times already")
    when = time or _time_column(table, columns)
    notes: list[str] = []
    names = tuple(columns) or (_value_column(table, when, notes),)
    values = np.stack([numbers.parse(table, name) for name in names], axis=1)
    for k, name in enumerate(names):
        if np.isnan(values[:, k]).all():
            raise SeriesError(f"{table.source}: expected numbers in the column {name!r}, got none")
    times, utc = _times(table, when, notes)
    step = steps.Rows() if when is None else _step(table, when, times)
    places = step.places(times)
    assert places is not None  # else it would not be the step

    def said(place: int) -> str:
        (text,) = _shown(step.times(times[0], np.array([place])), times, utc)
        return text if when else f"row {text}"

    filled = fill(table.source, names, values, places, said)
    notes += filled.notes
    return Series(
        table.source,
        when or "row",
        names,
        step.times(times[0], filled.places),
        step,
        utc,
        filled.values,
        filled.filled,
        tuple(notes),
    )


def _time_column(table: Table, taken: Sequence[str]) -> str | None:
    """Pick the column of times, if there is one."""
    free = [name for name in table.columns if name not in taken]
    for name in free:
        if dates.are_dates(table, name):
            return name
    for name in free:
        if dates.are_like_dates(table, name):  # not rows counted instead, as if nothing were between them
            dates.parse(table, name)
    with_numbers = [name for name in table.columns if numbers.are_numbers(table, name)]
    for name in free:
        if name.strip().lower() not in TIME_NAMES:
            continue
        if name not in with_numbers or len(with_numbers) > 1:  # text is for `dates` to refuse
            return name
    first = next(iter(table.columns))
    if first in free and first in with_numbers and len(with_numbers) > 1:
        apart = np.diff(numbers.parse(table, first))
        if len(apart) and apart[0] > 0 and (np.abs(apart - apart[0]) < 1e-6 * apart[0]).all():
            return first
    return None


def _value_column(table: Table, when: str | None, notes: list[str]) -> str:
    """Pick the first column of numbers; say so where there are more."""
    others = [name for name in table.columns if name != when]
    found = [name for name in others if numbers.are_numbers(table, name)]
    if not found:
        if not others:
            raise SeriesError(f"{table.source}: expected a column of numbers beside that of times, got none")
        problem = ""
        try:  # what is wrong with the first is what the user wants to know
            numbers.parse(table, others[0])
        except SeriesError as error:
            problem = f" ({str(error).removeprefix(table.source + ', ')})"
        raise SeriesError(
            f"{table.source}: expected a column of numbers, got none among {', '.join(map(repr, others))}"
            f"{problem}"
        )
    if len(others) > 1:
        rest = ", ".join(map(repr, others))
        notes.append(f"Column {found[0]!r} is forecast, of {rest}; --column NAME chooses others.")
    return found[0]


def _times(table: Table, when: str | None, notes: list[str]) -> tuple[NDArray[Any], bool]:
    """Return times that go up, and whether they are UTC."""
    if when is None:
        notes.append("No column of times was found: rows are counted, each one step after that before it.")
        return np.arange(len(table.lines), dtype=np.float64), False
    times: NDArray[Any]
    if (
        dates.are_dates(table, when)
        or not numbers.are_numbers(table, when)
        or _are_days_in_digits(table, when)
    ):
        found = dates.parse(table, when)
        times, utc = found.times, found.zones
        of_day = found.local - found.local.astype("datetime64[D]")
        if utc and len(of_day) > 1 and (of_day == of_day[0]).all() and (found.local != times).any():
            # Days, weeks, months: they are those of the place, and where clocks change not 24 hours long.
            times, utc = found.local, False
            notes.append(f"Days are those of the zone that is said in {when!r}; times are shown without it.")
    else:
        times, utc = numbers.parse(table, when), False
        missing = np.flatnonzero(np.isnan(times))
        if missing.size:
            raise SeriesError(
                f"{table.source}, {table.place(int(missing[0]))}: expected a time in the column {when!r},"
                " got none"
            )
    apart = np.diff(times)
    wrong = np.flatnonzero(apart <= np.zeros((), apart.dtype))
    if wrong.size:
        row = int(wrong[0]) + 1
        problem = "come twice" if times[row] == times[row - 1] else "go backwards"
        raise SeriesError(
            f"{table.source}, {table.place(row)}: expected times that go up, but in the column {when!r} they"
            f" {problem}: {_plain(times[row])} after {_plain(times[row - 1])}{_remedy(times, row, utc)}"
        )
    return times, utc


def _remedy(times: NDArray[Any], row: int, utc: bool) -> str:
    """Say what may help, where times do not go up."""
    if (times[1:] < times[:-1]).all():
        return "; the newest row is first: turn their order round"
    if times.dtype.kind != "M":
        return ""
    of_day = times - times.astype("datetime64[D]")
    if not of_day.any():
        twice = times[row] == times[row - 1]
        return "; where times of day stand in another column, write both into one" if twice else ""
    if not utc and times[row - 1] - times[row] <= np.timedelta64(2, "h"):
        return "; where clocks were set back, write times with their offsets (+01:00), or in UTC"
    return ""


def _are_days_in_digits(table: Table, when: str) -> bool:
    """Whether all are like 20240131: eight digits that are a day."""
    column = table.columns[when]
    if isinstance(column, np.ndarray):
        return False
    try:
        dates.parse(table, when)
    except SeriesError:
        return False
    return all(len(text) == 8 for text in column)


def _step(table: Table, when: str, times: NDArray[Any]) -> Step:
    step = steps.infer(times)
    if step is not None:
        return step
    apart = np.diff(times)
    shortest, longest = int(apart.argmin()), int(apart.argmax())
    raise SeriesError(
        f"{table.source}: expected regular times in the column {when!r}, got differences that are not"
        f" multiples of the most frequent: {_plain(times[shortest])} to {_plain(times[shortest + 1])}"
        f" ({table.place(shortest + 1)}), {_plain(times[longest])} to {_plain(times[longest + 1])}"
        f" ({table.place(longest + 1)}); resample the series first"
    )


def _shown(times: NDArray[Any], among: NDArray[Any], utc: bool) -> list[str]:
    """Write times as fine as those that they are among; see `Series.shown`."""
    if times.dtype.kind != "M":
        return [repr(int(t)) if float(t).is_integer() else repr(round(float(t), 9)) for t in times]
    both = np.concatenate([among, times])
    unit = next(u for u in ("D", "m", "s", "us") if (both.astype(f"datetime64[{u}]") == both).all())
    return [str(t) + ("Z" if utc else "") for t in times.astype(f"datetime64[{unit}]")]


def _plain(time: Any) -> str:  # noqa: ANN401
    if not isinstance(time, np.datetime64):
        return f"{time:g}"
    text = str(time)
    return text.removesuffix(".000000").removesuffix("T00:00:00")
