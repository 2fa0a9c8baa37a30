"""Which steps of a batch are one sequence: `lengths`, where rows end, and `reset`, where they begin anew.

And `mask`, which are skipped. All become private copies, because the core reads them while other threads run,
who may write to the user's arrays; and None where they say nothing: the core is faster without them, and its
results are the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import checks


def ends(lengths: object, steps: int, rows: int, batched: bool) -> NDArray[np.int64] | None:
    """Check `lengths`, integers [B] from 0 to T, or one where x came unbatched; None if all are T."""
    checked: NDArray[Any]
    if batched:
        if isinstance(lengths, (list, tuple)) and not lengths:
            lengths = np.zeros(0, np.int64)  # of no rows; NumPy takes an empty list for floats
        given = checks.array_of(lengths, "lengths", "iu", "an array of integers [B]")
        if given.shape != (rows,):
            raise ValueError(f"lengths: expected shape {(rows,)} [B], got {given.shape}")
        checked = given.copy()  # before it is looked at: another thread may be writing to it
        outside = np.flatnonzero((checked < 0) | (checked > steps))
        if outside.size:
            place = outside[0]
            raise ValueError(
                f"lengths: expected integers from 0 to {steps} (x's time steps),"
                f" got {checked[place]} at [{place}]"
            )
    else:
        checked = np.array([checks.integer(lengths, "lengths", 0, steps)])
    return None if (checked == steps).all() else checked.astype(np.int64)


def starts(
    reset: object, steps: int, rows: int, batched: bool, batch_first: bool
) -> NDArray[np.bool_] | None:
    """Check `reset`, bools in x's first axes; return it C-ordered as [T, B], or None if nothing is marked."""
    marks = _marks(reset, "reset", steps, rows, batched, batch_first)
    return marks if marks.any() else None


def taken(mask: object, steps: int, rows: int, batched: bool, batch_first: bool) -> NDArray[np.bool_] | None:
    """Check `mask`, bools in x's first axes; return it C-ordered as [T, B], or None if no step is skipped."""
    marks = _marks(mask, "mask", steps, rows, batched, batch_first)
    return None if marks.all() else marks


def _marks(
    value: object, name: str, steps: int, rows: int, batched: bool, batch_first: bool
) -> NDArray[np.bool_]:
    """Check bools in x's first axes; return a copy, C-ordered, as [T, B]."""
    shape, axes = ((steps,), "[T]") if not batched else ((steps, rows), "[T, B]")
    if batched and batch_first:
        shape, axes = (rows, steps), "[B, T]"
    if isinstance(value, (list, tuple)) and not value:
        value = np.zeros(0, np.bool_)  # of no steps; NumPy takes an empty list for floats
    given = checks.array_of(value, name, "b", f"an array of bools {axes}")
    if given.shape != shape:
        raise ValueError(f"{name}: expected shape {shape} {axes}, got {given.shape}")
    in_time_order = given.T if batch_first else given
    # A byte that was made a bool by a view may hold any number; compared with 0 it becomes 0 or 1.
    marks: NDArray[np.bool_] = np.not_equal(in_time_order.view(np.uint8), 0, order="C")
    return marks.reshape(steps, rows)
