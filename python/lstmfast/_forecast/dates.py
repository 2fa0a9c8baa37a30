"""Dates from text: ISO 8601 and forms that can be read in one way only.

All dates of a column must be of one form. Days and months as numbers with strokes between them (1/2/2024) are
read where some row settles which is which, and refused where none does.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .errors import SeriesError
from .table import Table

__all__ = ["UNIT", "are_dates", "is_date", "parse"]

UNIT = "datetime64[us]"

_TIME = r"(?:[T ]+(?P<H>\d{1,2})(?::(?P<M>\d{2})(?::(?P<S>\d{2}(?:\.\d{1,9})?))?)?)?"
_ZONE = r"\s*(?P<zone>Z|UTC|[-+]\d{2}:?\d{2})?"
_NAMES = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = r"(?P<name>[A-Za-z]{3,9})\.?"

# The form's name, its pattern.
_FORMS = {
    "ISO": re.compile(r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})" + _TIME + _ZONE),
    "year first": re.compile(r"(?P<y>\d{4})[/.](?P<m>\d{1,2})[/.](?P<d>\d{1,2})" + _TIME + _ZONE),
    "digits": re.compile(r"(?P<y>(?:1[6-9]|20|21)\d{2})(?P<m>[01]\d)(?P<d>[0-3]\d)"),
    "month": re.compile(r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})|(?P<y2>\d{4})M(?P<m2>\d{2})"),
    "quarter": re.compile(r"(?P<y>\d{4})[- ]?Q(?P<q>[1-4])|Q(?P<q2>[1-4])[- ]?(?P<y2>\d{4})"),
    "week": re.compile(r"(?P<y>\d{4})-?W(?P<w>\d{2})"),
    "day with dots": re.compile(r"(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<y>\d{4})" + _TIME + _ZONE),
    "named, day first": re.compile(r"(?P<d>\d{1,2})[- .]+" + _MONTH + r"[- ,]+(?P<y>\d{4})" + _TIME + _ZONE),
    "named, month first": re.compile(_MONTH + r"[- ]+(?P<d>\d{1,2}),?\s+(?P<y>\d{4})" + _TIME + _ZONE),
    "named month": re.compile(_MONTH + r"[- ,]+(?P<y>\d{4})"),
}
_STROKES = re.compile(r"(?P<a>\d{1,2})[/-](?P<b>\d{1,2})[/-](?P<y>\d{4})" + _TIME + _ZONE)


def is_date(text: str) -> bool:
    """Whether one field could be a date. Digits alone are not taken for one."""
    return any(form.fullmatch(text) for name, form in _FORMS.items() if name != "digits") or bool(
        _STROKES.fullmatch(text)
    )


def are_dates(table: Table, name: str) -> bool:
    """Whether a column looks like one of dates: an array of them, or its first field is one."""
    column = table.columns[name]
    if isinstance(column, np.ndarray):
        if column.dtype.kind != "O":
            return column.dtype.kind == "M"
        column = [
            value if isinstance(value, str) else str(getattr(value, "isoformat", str)())
            for value in column[:1]
        ]
    return bool(column) and is_date(column[0])


def parse(table: Table, name: str) -> tuple[NDArray[np.datetime64], bool]:
    """Return the times of a column, datetime64 [rows], and whether they were of some zone, and are UTC now.

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
            return times, False
        column = [
            value.isoformat() if hasattr(value, "isoformat") else str(value) for value in column.tolist()
        ]
    form, reader = _form(table, name, column)
    found: list[np.datetime64] = []
    zones = set()
    for row, text in enumerate(column):
        match = form.fullmatch(text)
        if not match:
            raise _wrong(table, name, row, repr(text) if text else "nothing")
        try:
            found.append(reader(match))
        except ValueError:
            raise _wrong(table, name, row, repr(text)) from None
        zones.add("zone" in form.groupindex and match["zone"] is not None)
    if len(zones) > 1:
        raise SeriesError(f"{table.source}: column {name!r}: expected a time zone in all rows, or in none")
    return np.array(found, UNIT), zones == {True}


def _wrong(table: Table, name: str, row: int, got: str) -> SeriesError:
    return SeriesError(
        f"{table.source}, {table.place(row)}: expected a date in the column {name!r}, got {got}"
    )


def _form(
    table: Table, name: str, column: list[str]
) -> tuple[re.Pattern[str], Callable[[re.Match[str]], np.datetime64]]:
    """Find the form of the first field, which all must have."""
    first = column[0] if column else ""
    for form in _FORMS.values():
        if form.fullmatch(first):
            return form, _read
    if not _STROKES.fullmatch(first):
        raise _wrong(table, name, 0, repr(first) if first else "nothing")
    parts = [match for text in column if (match := _STROKES.fullmatch(text))]
    day_first = any(int(match["a"]) > 12 for match in parts)
    month_first = any(int(match["b"]) > 12 for match in parts)
    if day_first == month_first:
        raise SeriesError(
            f"{table.source}: column {name!r}: cannot tell days from months in dates like {first!r};"
            " write them as YYYY-MM-DD"
        )
    return _STROKES, (lambda match: _read(match, "a", "b")) if day_first else lambda match: _read(
        match, "b", "a"
    )


def _read(match: re.Match[str], day: str = "d", month: str = "m") -> np.datetime64:
    """Make the time of a match; ValueError where there is no such day."""
    found = {key: value for key, value in match.groupdict().items() if value is not None}
    year = found.get("y") or found["y2"]
    if "w" in found:
        return _week(int(year), int(found["w"]))
    if quarter := found.get("q") or found.get("q2"):
        number = 3 * int(quarter) - 2
    elif "name" in found:
        number = _NAMES.index(found["name"][:3].lower()) + 1
    else:
        number = int(found.get(month) or found["m2"])
    time = np.datetime64(f"{year}-{number:02d}-{int(found.get(day, 1)):02d}", "us")
    if "H" in found:
        hours, minutes, seconds = int(found["H"]), int(found.get("M", 0)), float(found.get("S", 0))
        if hours > 23 or minutes > 59 or seconds >= 60:
            raise ValueError
        time += np.timedelta64(60_000_000 * (60 * hours + minutes) + round(1e6 * seconds), "us")
    zone = found.get("zone", "Z")
    if zone not in ("Z", "UTC"):
        minutes = 60 * int(zone[1:3]) + int(zone[-2:])
        time -= np.timedelta64(minutes if zone[0] == "+" else -minutes, "m")
    return time


def _week(year: int, week: int) -> np.datetime64:
    """Return the Monday of a week as ISO 8601 counts them: that with January 4 is the first."""
    if not 1 <= week <= 53:
        raise ValueError
    fourth = np.datetime64(f"{year}-01-04", "D")
    monday = fourth - np.timedelta64((int(fourth.astype(np.int64)) + 3) % 7, "D")
    begins: np.datetime64 = (monday + np.timedelta64(7 * (week - 1), "D")).astype(UNIT)
    return begins
