"""Which way a call of a layer goes: to the core, or along Keras' own path, and why.

Keras' path takes all that the core does not, mistakes included: then the error is Keras' own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from . import _backends
from ._reading import Recurrence, cells_of, read
from ._weights import weights_of

FLOATS = ("float32", "float64")


class Part(NamedTuple):
    """A cell of a layer, what it computes and, of a call, its weights and its states."""

    cell: Any
    recurrence: Recurrence
    weights: list[Any]  # kernel, recurrent_kernel[, bias]
    state: list[Any]  # h[, c], each [B, H]


def cells_for_core(layer: Any, training: bool) -> list[tuple[Any, Recurrence]] | str:
    """Return the cells of a layer for the core, or why its calls go along Keras' own path, whatever x is."""
    if layer.unroll:
        return "unroll=True asks for Keras' own steps, one after the other"
    if getattr(layer, "use_cudnn", None) is True:
        return "use_cudnn=True asks for cuDNN"
    cells = cells_of(layer)
    if isinstance(cells, str):
        return cells
    found = []
    for cell in cells:
        recurrence = read(cell)
        if isinstance(recurrence, str):
            return recurrence
        if reason := _refusal_of_cell(cell, training):
            return reason
        found.append((cell, recurrence))
    return found


def _refusal_of_cell(cell: Any, training: bool) -> str | None:
    if cell.recurrent_dropout and training:
        return "recurrent_dropout is Keras' own"
    if cell.dropout and training:
        if getattr(cell, "implementation", 2) == 1:
            return "implementation=1 has a dropout mask for each gate"
        if cell.dropout >= 1:
            return "dropout=1 leaves nothing of the input"
    if cell.compute_dtype != cell.variable_dtype or cell.compute_dtype not in FLOATS:
        return f"its dtype policy is {cell.dtype_policy.name}, not float32 or float64"
    return None


def parts_of(cells: list[tuple[Any, Recurrence]], x: Any, states: Sequence[list[Any]]) -> list[Part] | str:
    """Return a call's cells with their weights and states; or why it is none for the core.

    states: of each cell, its list [h] or [h, c].
    """
    if len(x.shape) != 3:
        return f"the input has the shape {tuple(x.shape)}"
    rows, steps, size = x.shape
    if 0 in (rows, steps, size):
        return f"the input's shape {tuple(x.shape)} is empty"
    if len(states) != len(cells):
        return f"there are {len(states)} initial states, not {len(cells)}"
    parts = [
        Part(cell, recurrence, weights_of(cell), state)
        for (cell, recurrence), state in zip(cells, states, strict=True)
    ]
    for part in parts:
        if reason := _refusal_of_state(part, rows):
            return reason
    first = parts[0]
    if first.weights[0].shape[0] != size:
        return f"the input has {size} features, not {first.weights[0].shape[0]}"
    tensors = [x, *(tensor for part in parts for tensor in (*part.state, *part.weights))]
    recurrences = [part.recurrence for part in parts]
    return _backends.BACKEND.refusal(recurrences, tensors, first.cell.compute_dtype) or parts


def _refusal_of_state(part: Part, rows: int | None) -> str | None:
    if len(part.state) != (2 if part.recurrence.has_memory else 1):
        return f"an initial state has {len(part.state)} parts"
    for tensor in part.state:
        shape = tuple(tensor.shape)
        fits = len(shape) == 2 and shape[1] == part.recurrence.units
        if not fits or (None not in (rows, shape[0]) and shape[0] != rows):
            return f"an initial state has the shape {shape}, not {(rows, part.recurrence.units)}"
    return None
