"""Keras on NumPy: the core is called with the arrays as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _host
from ._on_none import adopt as adopt
from ._on_none import refuse_own_path as refuse_own_path
from ._on_none import release as release
from ._reading import Recurrence
from ._weights import packed_of

BEGINS_WITH_STATE = True


def refusal(recurrences: list[Recurrence], tensors: list[Any], dtype: str) -> str | None:
    """Say why a call is none for the core, or None."""
    for array in tensors:
        if not isinstance(array, np.ndarray):
            return f"a {type(array).__name__} is no array with numbers in it"
        if array.dtype != dtype:
            return f"an array is of {array.dtype}, not {dtype}"
    return None


def known(mask: Any) -> Any:
    """Return the mask itself."""
    return mask


def taken(x: Any, index: Any) -> Any:
    """Take steps of x, [B, T, ...], row by row: index [B, N]."""
    return np.take_along_axis(x, index[..., np.newaxis], axis=1)


def run(
    cell: Any,
    recurrence: Recurrence,
    weights: list[Any],
    x: Any,
    state: list[Any],
    skipping: Any,
    wants_states: bool,
    training: bool,
) -> tuple[Any, list[Any]]:
    """Run one cell over all steps: y [B, T, H], and its last states [B, H]."""
    lengths = None if skipping is None else skipping.lengths
    y, *ends = _host.infer(packed_of(cell, recurrence), weights, x, state, lengths)
    return y, ends
