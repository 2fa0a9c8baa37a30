"""Dates from text: ISO 8601 and forms that can be read in one way only.

All dates of a column must be of one form. Days and months as numbers with strokes between them (1/2/2024) are
read where some row settles which is which, and refused where none does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import SeriesError
from .numbers import is_missing
from .table import Column, Table

__all__ = ["UNIT", "Dates", "are_dates", "are_like_dates", "is_date", "parse"]

UNIT = "datetime64[us]"

_ZONE = r"(?:\s*(?P<zone>Z|UTC|GMT|[-+]\d{2}(?::?\d{2})?))?"
_TIME = (
    r"(?:[T ]+(?P<H>\d{1,2})(?::(?P<M>\d{2})(?::(?P<S>\d{2}(?:\.\d{1,9})?))?)?"
    r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?" + _ZONE + ")?"
)
_NAMES = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = r"(?P<name>[A-Za-z]{3,9})\.?"

# The form's name, its pattern.
_FORMS = {
    "ISO": re.compile(r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})" + _TIME),
    "year first": re.compile(r"(?P<y>\d{4})[/.](?P<m>\d{1,2})[/.](?P<d>\d{1,2})" + _TIME),
    "digits": re.compile(r"(?P<y>(?:1[6-9]|20|21)\d{2})(?P<m>[01]\d)(?P<d>[0-3]\d)"),
    "digits and time": re.compile(
        r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})T(?P<H>\d{2})(?P<M>\d{2})(?P<S>\d{2})?" + _ZONE
    ),
    "month": re.compile(r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})|(?P<y2>\d{4})M(?P<m2>\d{2})"),
    "quarter": re.compile(r"(?P<y>\d{4})[- ]?Q(?P<q>[1-4])|Q(?P<q2>[1-4])[- ]?(?P<y2>\d{4})"),
    "week": re.compile(r"(?P<y>\d{4})-?W(?P<w>\d{2})"),
    "day with dots": re.compile(r"(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<y>\d{4})" + _TIME),
    "named, day first": re.compile(r"(?P<d>\d{1,2})[- .]+" + _MONTH + r"[- ,]+(?P<y>\d{4})" + _TIME),
    "named, month first": re.compile(_MONTH + r"[- ]+(?P<d>\d{1,2}),?\s+(?P<y>\d{4})" + _TIME),
    "named month": re.compile(_MONTH + r"[- ,]+(?P<y>\d{4})"),
}
_STROKES = re.compile(r"(?P<a>\d{1,2})[/-](?P<b>\d{1,2})[/-](?P<y>\d{4})" + _TIME)
# What is meant as a time, read or not: numbers with strokes between them, times of the day, names of months.
_LIKE = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\b\d{1,2}:\d{2}\b|\b(" + "|".join(_NAMES) + r")\b.*\d",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Dates:
    """The times of a column.

    Attributes
    ----------
    times : datetime64 array [rows]
        UTC if they have zones; else as they stand.
    local : datetime64 array [rows]
        As they stand.
    zones : bool
        Whether they have zones.
    """

    times: NDArray[np.datetime64]
    local: NDArray[np.datetime64]
    zones: bool


def is_date(text: str) -> bool:
    """Whether one field could be a date. Digits alone are not taken for one."""
    return any(form.fullmatch(text) for name, form in _FORMS.items() if name != "digits") or bool(
        _STROKES.fullmatch(text)
    )


def are_dates(table: Table, name: str) -> bool:
    """Whether a column looks like one of dates: an array of them, or its first field with anything is one."""
    column = table.columns[name]
    if isinstance(column, np.ndarray) and column.dtype.kind != "O":
        return column.dtype.kind == "M"
    return is_date(_first(column))


def are_like_dates(table: Table, name: str) -> bool:
    """Whether times seem to be meant, such as 1/2/24, 3 PM CET or Jan-24, which `parse` may not read."""
    column = table.columns[name]
    if isinstance(column, np.ndarray) and column.dtype.kind != "O":
        return False
    return bool(_LIKE.search(_first(column)))


def _first(column: Column) -> str:
    """Return the first field with anything in it."""
    return next((text for text in map(_text, column) if not is_missing(text) and text != "NaT"), "")


def _text(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def parse(table: Table, name: str) -> Dates:
    """Read the times of a column.

    Raises
    ------
    SeriesError
        If a field is missing, is no date, or can be read in two ways; the message names the place.
    """
    column = table.columns[name]
    if isinstance(column, np.ndarray):
        if column.dtype.kind == "M":
            times = column.astype(UNIT)
            missing = np.flatnonzero(np.isnat(times))
            if missing.size:
                raise _wrong(table, name, int(missing[0]), "nothing")
            return Dates(times, times, False)
        column = [_text(value) for value in column.tolist()]
    form, reader = _form(table, name, column)
    found: list[tuple[np.datetime64, int | None]] = []
    halved, halves = "half" in form.groupindex, None
    for row, text in enumerate(column):
        match = form.fullmatch(text)
        if not match:
            raise _wrong(table, name, row, repr(text) if text else "nothing")
        try:
            found.append(reader(match))
        except ValueError:
            raise _wrong(table, name, row, repr(text)) from None
        if (found[-1][1] is None) != (found[0][1] is None):
            raise SeriesError(
                f"{table.source}, {table.place(row)}: expected a time zone in all rows of the column"
                f" {name!r}, or in none, got {column[0]!r} and {text!r}"
            )
        if halved and match["H"] is not None:  # 3:00 beside 4:00 PM could be either
            half = match["half"] is not None
            if halves not in (None, half):
                raise SeriesError(
                    f"{table.source}, {table.place(row)}: expected AM or PM in all rows of the column"
                    f" {name!r}, or in none, got {text!r}"
                )
            halves = half
    local = np.array([time for time, _ in found], UNIT)
    offsets = np.array([offset or 0 for _, offset in found], "timedelta64[m]")
    return Dates(local - offsets, local, bool(found) and found[0][1] is not None)


def _wrong(table: Table, name: str, row: int, got: str) -> SeriesError:
    return SeriesError(
        f"{table.source}, {table.place(row)}: expected a date in the column {name!r}, got {got}"
    )


def _form(
    table: Table, name: str, column: list[str]
) -> tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[np.datetime64, int | None]]]:
    """Find the form of the first field with anything in it, which all must have."""
    first = _first(column)
    for form in _FORMS.values():
        if form.fullmatch(first):
            return form, _read
    if not _STROKES.fullmatch(first):
        if not first:
            raise _wrong(table, name, 0, "nothing")
        hint = "; write dates as 2024-01-31 or 2024-01-31T18:00+01:00"
        raise _wrong(table, name, column.index(first), repr(first) + hint)
    parts = [match for text in column if (match := _STROKES.fullmatch(text))]
    day_first = any(int(match["a"]) > 12 for match in parts)
    month_first = any(int(match["b"]) > 12 for match in parts)
    if day_first == month_first:
        raise SeriesError(
            f"{table.source}, {table.place(0)}: column {name!r}: cannot tell days from months in dates like"
            f" {first!r}; write them as YYYY-MM-DD"
        )
    return _STROKES, (lambda match: _read(match, "a", "b")) if day_first else lambda match: _read(
        match, "b", "a"
    )


def _read(match: re.Match[str], day: str = "d", month: str = "m") -> tuple[np.datetime64, int | None]:
    """Make the time of a match, and by how many minutes it is ahead of UTC, None where no zone is said.

    ValueError where there is no such day.
    """
    found = {key: value for key, value in match.groupdict().items() if value is not None}
    year = found.get("y") or found["y2"]
    if "w" in found:
        return _week(int(year), int(found["w"])), None
    if quarter := found.get("q") or found.get("q2"):
        number = 3 * int(quarter) - 2
    elif "name" in found:
        number = _NAMES.index(found["name"][:3].lower()) + 1
    else:
        number = int(found.get(month) or found["m2"])
    time = np.datetime64(f"{year}-{number:02d}-{int(found.get(day, 1)):02d}", "us")
    if "H" in found:
        hours, minutes, seconds = int(found["H"]), int(found.get("M", 0)), float(found.get("S", 0))
        if "half" in found:
            if not 1 <= hours <= 12:
                raise ValueError
            hours = hours % 12 + 12 * (found["half"] in "Pp")
        ends_the_day = (hours, minutes, seconds) == (24, 0, 0)  # as ISO 8601 has it
        if (hours > 23 and not ends_the_day) or minutes > 59 or seconds >= 60:
            raise ValueError
        time += np.timedelta64(60_000_000 * (60 * hours + minutes) + round(1e6 * seconds), "us")
    return time, _offset(found["zone"]) if "zone" in found else None


def _offset(zone: str) -> int:
    """Return by how many minutes a zone is ahead of UTC."""
    if zone in ("Z", "UTC", "GMT"):
        return 0
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    if hours > 15 or minutes > 59:
        raise ValueError
    return (60 * hours + minutes) * (1 if zone[0] == "+" else -1)


def _week(year: int, week: int) -> np.datetime64:
    """Return the Monday of a week as ISO 8601 counts them: that with January 4 is the first."""
    if not 1 <= week <= 53:
        raise ValueError
    fourth = np.datetime64(f"{year}-01-04", "D")
    monday = fourth - np.timedelta64((int(fourth.astype(np.int64)) + 3) % 7, "D")
    begins: np.datetime64 = (monday + np.timedelta64(7 * (week - 1), "D")).astype(UNIT)
    return begins
