"""Tables as they are read: named columns of text, or of arrays where a data frame had them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from numpy.typing import NDArray

from .errors import SeriesError

__all__ = ["Column", "Table"]

# Text as the file has it, or what a data frame holds.
Column: TypeAlias = "list[str] | NDArray[Any]"


@dataclass(frozen=True)
class Table:
    """Columns of one length, by name, in the order of the file.

    Attributes
    ----------
    source : str
        What messages call it: the file's name, say.
    columns : dict of list of str or array [rows]
    lines : sequence of int
        Where in the file each row stands; rows of data frames are counted from 0.
    unit : str
        "line" or "row": what `lines` counts.
    commas : bool
        Whether a comma in a number can be a decimal one: nothing else separates columns by it.
    """

    source: str
    columns: dict[str, Column]
    lines: Sequence[int]
    unit: str
    commas: bool = False

    def place(self, row: int) -> str:
        """Say where a row is, for messages."""
        return f"{self.unit} {self.lines[row]}"

    def column(self, name: str, option: str) -> Column:
        """Return one column; `option` is what asked for it."""
        if name not in self.columns:
            there = ", ".join(map(repr, self.columns))
            raise SeriesError(f"{option}: {self.source} has no column {name!r}; it has {there}")
        return self.columns[name]
