"""CSV as it comes: its encoding, what stands between columns, whether there is a header.

Detection is modest: what it is not sure of is one column, or an error that says what to change.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from dataclasses import dataclass

from . import dates, numbers
from .errors import SeriesError

__all__ = ["Rows", "parse"]

# In this order: a decimal comma makes a comma look like a delimiter, so that it comes last.
DELIMITERS = ("\t", ";", "|", ",")
LOOKED_AT = 100  # rows that must agree on a delimiter
_SAYS = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # what spreadsheets put first


@dataclass(frozen=True)
class Rows:
    """Columns of text by name, the line of each row, and the delimiter that was found."""

    columns: dict[str, list[str]]
    lines: list[int]
    delimiter: str


def parse(data: bytes, source: str) -> Rows:
    """Take the bytes of a CSV file apart.

    Raises
    ------
    SeriesError
        If it is empty or no text, or a row has more or fewer fields than the first.
    """
    text = _decoded(data, source)
    lines = list(io.StringIO(text, newline=""))  # their ends stay: those within quotes are text
    first = _begin(lines, 0)
    says = _SAYS.fullmatch(lines[first]) if first < len(lines) else None
    if says:
        first = _begin(lines, first + 1)
    if first == len(lines):
        raise SeriesError(f"{source}: expected a table, got an empty file")
    delimiter = says[1] if says else _delimiter(lines[first:])
    reader = csv.reader(lines[first:], delimiter=delimiter, skipinitialspace=True, strict=True)
    rows: list[list[str]] = []
    places: list[int] = []
    line = first + 1
    try:
        for row in reader:
            if any(field.strip() for field in row):
                rows.append([field.strip() for field in row])
                places.append(line)
            elif len(row) > 1:  # all fields empty: a row of gaps, which counts
                rows.append([""] * len(row))
                places.append(line)
            line = first + reader.line_num + 1
    except csv.Error as error:
        raise SeriesError(f"{source}, line {line}: expected CSV: {error}") from None
    width = len(rows[0])
    for row, place in zip(rows, places, strict=True):
        if len(row) != width:
            raise SeriesError(
                f"{source}, line {place}: expected {width} field{'s'[: width != 1]} as in the first line"
                f" (separated by {_named(delimiter)}), got {len(row)}"
            )
    names = _header(rows[0], source)
    if names is None:
        names = [f"column {k + 1}" for k in range(width)]
    else:
        del rows[0], places[0]
    columns = {name: [row[k] for row in rows] for k, name in enumerate(names)}
    return Rows(columns, places, delimiter)


def _decoded(data: bytes, source: str) -> str:
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ["utf-16"] if marked else ["utf-8-sig", "cp1252"]:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise SeriesError(f"{source}: expected text (CSV), got bytes that are none")


def _begin(lines: list[str], first: int) -> int:
    """Return the first line from there on with anything in it that is no comment."""
    while first < len(lines) and (not lines[first].strip() or lines[first].startswith("#")):
        first += 1
    return first


def _delimiter(lines: list[str]) -> str:
    """Return the first delimiter by which the first rows have the same number of fields, above one."""
    for delimiter in DELIMITERS:
        try:
            reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
            widths = {len(row) for row in itertools.islice(reader, LOOKED_AT) if row}
        except csv.Error:
            continue
        if len(widths) == 1 and widths.pop() > 1:
            return delimiter
    # None fits all lines. The most frequent in the first, so that the message can name a line that differs.
    counts = {delimiter: lines[0].count(delimiter) for delimiter in DELIMITERS}
    best = max(counts, key=lambda delimiter: counts[delimiter])
    return best if counts[best] else ","


def _header(fields: list[str], source: str) -> list[str] | None:
    """Return the columns' names, or None where the first row is data already."""
    if all(numbers.is_number(field) or numbers.is_missing(field) or dates.is_date(field) for field in fields):
        return None
    names = [field or f"column {k + 1}" for k, field in enumerate(fields)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SeriesError(f"{source}: expected columns with names of their own, got {twice[0]!r} twice")
    return names


def _named(delimiter: str) -> str:
    return {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas"}.get(delimiter, repr(delimiter))
