"""Files and data frames as tables."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import csv_text
from .errors import SeriesError
from .table import Column, Table

__all__ = ["of_frame", "read"]


def read(path: str | os.PathLike[str]) -> Table:
    """Read a file: Parquet by its ending, by pandas or polars; anything else as CSV.

    Raises
    ------
    OSError
        If it cannot be opened.
    SeriesError
        If it is no table.
    ImportError
        If it is Parquet, and neither pandas (with pyarrow or fastparquet) nor polars is there.
    """
    name = os.fspath(path)
    if not name.lower().endswith((".parquet", ".pq")):
        with open(name, "rb") as file:
            rows = csv_text.parse(file.read(), name)
        columns: dict[str, Column] = {key: list(column) for key, column in rows.columns.items()}
        return Table(name, columns, rows.lines, "line", commas=rows.delimiter != ",")
    with open(name, "rb"):  # so that a file that cannot be opened is the usual OSError
        pass
    return of_frame(_parquet(name), name)


def _parquet(name: str) -> Any:  # noqa: ANN401 - a data frame of either library
    missing = []
    for library in ("polars", "pandas"):
        try:
            module = __import__(library)
            return module.read_parquet(name)
        except ImportError as error:  # the library, or what it needs to read Parquet
            missing.append(str(error).splitlines()[0])
        except Exception as error:  # each library's own, of a file that is none
            raise SeriesError(f"{name}: expected a Parquet file: {error}") from error
    raise ImportError(
        f"reading Parquet needs polars, or pandas with pyarrow ({'; '.join(missing)}): pip install polars"
    )


def of_frame(frame: Any, source: str) -> Table:  # noqa: ANN401
    """Take a data frame of pandas or polars, or a mapping from names to arrays.

    An index of dates that pandas keeps apart becomes the first column.
    """
    columns: dict[str, Column] = {}
    index = getattr(frame, "index", None)
    if index is not None and getattr(index, "dtype", None) is not None:
        values = _index_values(index)
        if values is not None:
            columns[str(getattr(index, "name", None) or "index")] = values
    for name in frame.keys() if hasattr(frame, "keys") else frame.columns:
        if str(name) in columns:
            raise SeriesError(f"{source}: expected columns with names of their own, got {str(name)!r} twice")
        series = frame[name]
        if getattr(getattr(series, "dtype", None), "time_zone", None) is not None:  # which polars leaves out
            columns[str(name)] = np.array(series.to_list(), object)
        else:
            columns[str(name)] = np.asarray(series.to_numpy() if hasattr(series, "to_numpy") else series)
    if not columns:
        raise SeriesError(f"{source}: expected a table with columns, got none")
    sizes = {name: len(column) for name, column in columns.items()}
    if len(set(sizes.values())) > 1:
        raise SeriesError(f"{source}: expected columns of one length, got {sizes}")
    return Table(source, columns, range(next(iter(sizes.values()))), "row")


def _index_values(index: Any) -> NDArray[Any] | None:  # noqa: ANN401
    """Return the dates of a pandas index, or None where it only counts rows."""
    if hasattr(index, "to_timestamp"):  # of periods: what begins each
        index = index.to_timestamp()
    if getattr(index, "tz", None) is not None:  # of times that know their zones
        return np.array(list(index), object)
    values = np.asarray(index)
    return values if values.dtype.kind == "M" or getattr(index, "name", None) is not None else None
