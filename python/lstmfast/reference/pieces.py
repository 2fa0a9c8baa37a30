"""Into which sequences `lengths` and `reset` cut the rows of a batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Piece(NamedTuple):
    """Steps of one row that run as a sequence of their own."""

    rows: slice  # the one row, as a batch of its own
    steps: slice
    takes_initial: NDArray[np.bool_]  # [L*D, 1, 1]: starts from the row's initial state; else from zero
    gives_final: NDArray[np.bool_]  # [L*D, 1, 1]: ends in the row's final state


def cut(
    T: int, B: int, lengths: ArrayLike | None, reset: ArrayLike | None, L: int, ways: slice
) -> list[Piece]:
    """All rows' pieces: row by row, each from its first step to its last. ways: of forward and reverse."""
    marks = _checked_reset(reset, T, B)
    pieces = []
    for row, length in enumerate(_checked_lengths(lengths, T, B)):
        cuts = [t for t in range(1, length) if marks[t, row]]
        for start, stop in zip([0, *cuts], [*cuts, length], strict=True):
            first, last = start == 0, stop == length
            fresh = length > 0 and bool(marks[0, row])  # the forward direction ignores the initial state
            takes_initial = [first and not fresh, last][ways] * L  # of each layer: forward, reverse
            gives_final = [last, first][ways] * L
            pieces.append(
                Piece(
                    slice(row, row + 1),
                    slice(start, stop),
                    np.reshape(takes_initial, (-1, 1, 1)),
                    np.reshape(gives_final, (-1, 1, 1)),
                )
            )
    return pieces


def _checked_lengths(lengths: ArrayLike | None, T: int, B: int) -> list[int]:
    """Every row's number of steps; None as T for all."""
    array = np.full(B, T) if lengths is None else np.asarray(lengths)
    if array.dtype.kind not in "iu":
        raise ValueError(f"lengths must be integers, got {array.dtype}")
    if array.shape != (B,):
        raise ValueError(f"lengths must have shape {(B,)}, got {array.shape}")
    whole: list[int] = array.tolist()
    for length in whole:
        if not 0 <= length <= T:
            raise ValueError(f"lengths must be from 0 to {T}, got {length}")
    return whole


def _checked_reset(reset: ArrayLike | None, T: int, B: int) -> NDArray[np.bool_]:
    """Where pieces start, [T, B]; None as nowhere. Numbers are refused: they could be lengths by mistake."""
    array = np.zeros((T, B), bool) if reset is None else np.asarray(reset)
    if array.dtype != bool:
        raise ValueError(f"reset must be bools, got {array.dtype}")
    if array.shape != (T, B):
        raise ValueError(f"reset must have shape {(T, B)}, got {array.shape}")
    return array
