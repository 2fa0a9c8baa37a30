"""What tests of the forecast share: tables and series that are made here."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstmfast._forecast import csv_text
from lstmfast._forecast.table import Table


def table(text: str) -> Table:
    """Take CSV apart."""
    rows = csv_text.parse(text.encode(), "x.csv")
    return Table("x.csv", {**rows.columns}, rows.lines, "line", commas=rows.delimiter != ",")


def csv_of(times: Any, *columns: Any, names: str = "time,y") -> str:
    """Write columns as CSV."""
    rows = zip(times, *columns, strict=True)
    return "\n".join([names, *(",".join(map(str, row)) for row in rows)]) + "\n"


def walk(rows: int, seed: int) -> NDArray[np.float64]:
    """Make a random walk, [rows]."""
    return np.cumsum(np.random.default_rng(seed).standard_normal(rows))


def seasonal(rows: int, seed: int = 0) -> NDArray[np.float64]:
    """Make days of hours on a trend, with noise of deviation 0.5, [rows]."""
    time = np.arange(rows)
    noise = np.random.default_rng(seed).normal(0, 0.5, rows)
    made: NDArray[np.float64] = 0.01 * time + 3 * np.sin(2 * np.pi * time / 24) + noise
    return made
