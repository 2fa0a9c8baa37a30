"""Numbers of a column: from text with a decimal point or comma, or from an array."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from .errors import SeriesError
from .table import Table

__all__ = ["are_numbers", "is_missing", "is_number", "parse"]

MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "-", "--", "?"))
# float() also takes underscores, "infinity" and digits of other scripts, none of which a column has by
# design.
_POINT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_COMMA = re.compile(r"[-+]?(\d+,?\d*|,\d+)([eE][-+]?\d+)?", re.ASCII)
_DOTS = re.compile(r"[-+]?[1-9]\d{0,2}(\.\d{3})+|[-+]?\d{1,3}", re.ASCII)
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+|[-+]?\d{1,3}", re.ASCII)


def is_missing(text: str) -> bool:
    """Whether a field says that there is nothing."""
    return text.lower() in MISSING


def is_number(text: str) -> bool:
    """Whether a field is a number, with a point or a comma."""
    return bool(_POINT.fullmatch(text) or _COMMA.fullmatch(text))


def are_numbers(table: Table, name: str) -> bool:
    """Whether a column has numbers, and nothing else but gaps."""
    try:
        return not np.isnan(parse(table, name)).all()
    except SeriesError:
        return False


def parse(table: Table, name: str) -> NDArray[np.float64]:
    """Return a column's numbers, float64 [rows], NaN where there is none.

    Raises
    ------
    SeriesError
        If a field is something else; the message names the place.
    """
    column = table.columns[name]
    return _of_array(table, name, column) if isinstance(column, np.ndarray) else _of_text(table, name, column)


def _of_text(table: Table, name: str, column: list[str]) -> NDArray[np.float64]:
    present = [text for text in column if not is_missing(text)]
    comma = table.commas and _decimal_comma(table, name, present)
    pattern = _COMMA if comma else _POINT
    if table.commas and not comma:
        _check_dots(table, name, present)
    values = np.full(len(column), math.nan)
    for row, text in enumerate(column):
        if is_missing(text):
            continue
        if not pattern.fullmatch(text):
            hint = (
                ": write numbers with a decimal point, and nothing between thousands" if "," in text else ""
            )
            raise SeriesError(
                f"{table.source}, {table.place(row)}: expected a number in the column {name!r},"
                f" got {text!r}{hint}"
            )
        values[row] = float(text.replace(",", "."))
    return _finite(table, name, values)


def _decimal_comma(table: Table, name: str, present: list[str]) -> bool:
    with_comma = [text for text in present if "," in text]
    if not with_comma:
        return False
    if all(_THOUSANDS.fullmatch(text) for text in present):
        raise SeriesError(
            f"{table.source}: column {name!r}: cannot tell whether the comma in {with_comma[0]!r} is a"
            " decimal one or stands between thousands; write the numbers with a decimal point"
        )
    return all(_COMMA.fullmatch(text) for text in present)


def _check_dots(table: Table, name: str, present: list[str]) -> None:
    """Refuse 987 beside 1.234, all with three digits after a dot or with none: likely thousands.

    Numbers that are all written to three places are read as that.
    """
    with_dot = [text for text in present if "." in text]
    if 0 < len(with_dot) < len(present) and all(_DOTS.fullmatch(text) for text in present):
        raise SeriesError(
            f"{table.source}: column {name!r}: cannot tell whether the dot in {with_dot[0]!r} is a decimal"
            " point or stands between thousands; write the numbers with nothing between thousands"
        )


def _of_array(table: Table, name: str, column: NDArray[np.generic]) -> NDArray[np.float64]:
    if column.dtype.kind in "iuf":
        return _finite(table, name, column.astype(np.float64))
    if column.dtype.kind == "O":
        values = np.full(len(column), math.nan)
        for row, value in enumerate(column.tolist()):
            if value is None or value != value or str(value) in ("<NA>", "NaT"):
                continue
            if isinstance(value, (bool, str, bytes)) or not hasattr(value, "__float__"):
                raise SeriesError(
                    f"{table.source}, {table.place(row)}: expected a number in the column {name!r},"
                    f" got {value!r}"
                )
            values[row] = float(value)
        return _finite(table, name, values)
    raise SeriesError(f"{table.source}: expected numbers in the column {name!r}, got {column.dtype}")


def _finite(table: Table, name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise SeriesError(
            f"{table.source}, {table.place(int(infinite[0]))}: expected a finite number in the column"
            f" {name!r}, got {values[infinite[0]]}"
        )
    return values
