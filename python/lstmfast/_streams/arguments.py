"""Checks of what streams and pools are given: models, frames, rows, ids."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._base import checks
from .._base.checks import Array
from .._base.inference import Inference


def check_model(model: object) -> None:
    if not isinstance(model, Inference):
        raise TypeError(f"model: expected an LSTM, a GRU or an RNN, got {checks.shown(model)}")
    if model.bidirectional or model.direction == "reverse":
        got = "bidirectional=True" if model.bidirectional else "direction='reverse'"
        raise ValueError(
            f"model: expected one direction, forward, got {got}: the reverse direction begins with the"
            " last step, which a stream does not know"
        )


def check_room(model: Inference[Any, Any], rows: int, name: str) -> None:
    """ValueError if no machine could address the states of so many rows."""
    layout = model._layout
    width = layout.output_size + (layout.hidden_size if model._KIND.has_memory else 0)
    checks.addressable(rows * layout.num_layers * width * model.dtype.itemsize, name, rows)


def frames(value: object, rows: int, model: Inference[Any, Any], symbols: str) -> tuple[Array, bool]:
    """Check one frame of so many rows; return it as the core takes it, and whether it came as [I]."""
    array = checks.real_array(value, "x")
    size = model.input_size
    frame = rows == 1 and array.shape == (size,)
    if not frame and array.shape != (rows, size):
        also = f" or {(size,)} [I]" if rows == 1 else ""
        raise ValueError(f"x: expected shape {(rows, size)} {symbols}{also}, got {array.shape}")
    return checks.dense(array.reshape(rows, size), model.dtype), frame


def integers(value: object, name: str, kinds: str, what: str) -> NDArray[Any]:
    """Check an array of integers, as `checks.array_of`; to NumPy an empty list is one of floats."""
    if isinstance(value, (list, tuple)) and not value:
        return np.zeros(0, np.int64)
    return checks.array_of(value, name, kinds, what)


def rows_of(value: object, batch: int) -> NDArray[np.int64]:
    """Check which rows of a stream are meant."""
    array = integers(value, "rows", "biu", f"integers from 0 to {batch - 1}, or bools [{batch}]")
    if array.dtype.kind == "b":
        if array.shape != (batch,):
            raise ValueError(f"rows: expected {batch} bools [B], got {array.shape}")
        return np.flatnonzero(array)
    if array.ndim > 1:
        raise ValueError(f"rows: expected one axis, got {array.shape}")
    array = array.reshape(-1)
    wrong = array[(array < 0) | (array >= batch)]
    if wrong.size:
        raise ValueError(f"rows: expected integers from 0 to {batch - 1}, got {wrong[0]}")
    return np.require(array, np.int64, ("C", "A"))


def ids_of(value: object) -> NDArray[np.int64]:
    """Check ids, one or several, but for whether there are such streams."""
    # To NumPy, integers beyond its own are objects, or floats.
    for id in value if isinstance(value, (list, tuple)) else (value,):
        if type(id) is int and not -sys.maxsize - 1 <= id <= sys.maxsize:
            came = id if id.bit_length() <= 256 else checks.shown(id)
            raise ValueError(f"ids: expected open streams, got {came}, which this pool never gave")
    array = integers(value, "ids", "iu", "integers")
    if array.ndim > 1:
        raise ValueError(f"ids: expected one axis [n], or one id, got {array.shape}")
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"ids: expected open streams, got {array.max()}, which this pool never gave")
    return np.require(array.reshape(-1), np.int64, ("C", "A"))
