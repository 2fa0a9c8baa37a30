"""Into which sequences `lengths` and `reset` cut the rows of a batch, and those alone, one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import stack as whole
from .products import Array
from .stack import NetworkCache, Stack
from .zoneout import Bools


class Piece(NamedTuple):
    """Steps of one row that run as a sequence of their own."""

    rows: slice  # the one row, as a batch of its own
    steps: slice
    takes_initial: NDArray[np.bool_]  # [L*D, 1, 1]: starts from the row's initial state; else from zero
    gives_final: NDArray[np.bool_]  # [L*D, 1, 1]: ends in the row's final state


class PiecesCache(NamedTuple):
    """What all pieces keep for their backward pass."""

    x_shape: tuple[int, ...]  # [T, B, I]
    pieces: list[tuple[Piece, NetworkCache]]

    @property
    def steps_and_rows(self) -> tuple[int, int]:
        """T and B."""
        T, B, _ = self.x_shape
        return T, B


class Cut(NamedTuple):
    """What pieces that begin at a cut begin from, and of a gradient what arrives there."""

    h: Array  # [L*D, B, P]
    c: Array  # [L*D, B, H]


def cut(
    T: int, B: int, lengths: ArrayLike | None, reset: ArrayLike | None, L: int, ways: slice
) -> list[Piece]:
    """All rows' pieces: row by row, each from its first step to its last. ways: of forward and reverse."""
    marks = checked_reset(reset, T, B)
    pieces = []
    for row, length in enumerate(checked_lengths(lengths, T, B)):
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


def forward(
    stack: Stack,
    x: Array,
    h0: Array,
    c0: Array,
    masks: Array | None,
    pieces: list[Piece],
    starts: Cut,
    renewed: Bools | None,
) -> tuple[Array, Array, Array, PiecesCache]:
    """Each piece alone, and what they give put together: y, h_n, c_n and the cache."""
    y = np.zeros((*x.shape[:2], stack.num_directions * stack.output_size), x.dtype)
    h_n, c_n = np.zeros_like(h0), np.zeros_like(c0)
    caches = []
    for piece in pieces:
        rows, steps, takes_initial, gives_final = piece
        y[steps, rows], h_end, c_end, cache = whole.forward(
            stack,
            x[steps, rows],
            np.where(takes_initial, h0[:, rows], starts.h[:, rows]),
            np.where(takes_initial, c0[:, rows], starts.c[:, rows]),
            None if masks is None else masks[:, steps, rows],
            None if renewed is None else renewed[:, steps, rows],
        )
        h_n[:, rows] = np.where(gives_final, h_end, h_n[:, rows])
        c_n[:, rows] = np.where(gives_final, c_end, c_n[:, rows])
        caches.append((piece, cache))
    return y, h_n, c_n, PiecesCache(x.shape, caches)


def backward(
    stack: Stack, cache: PiecesCache, dy: Array, dh_n: Array, dc_n: Array, dc_y: Array | None, starts: Cut
) -> tuple[Array, Array, Array, Sequence[Mapping[str, Array]]]:
    """Each piece alone; its initial state is where gradients end, its final state where they start.

    To starts is added what arrives at what cuts began from.

    The weights are the same in every piece: their gradients are sums over all.
    """
    dx = np.zeros(cache.x_shape, dy.dtype)
    dh0, dc0 = np.zeros_like(dh_n), np.zeros_like(dc_n)
    dweights = [{kind: np.zeros_like(array) for kind, array in one.items()} for one in stack.weights]
    for (rows, steps, takes_initial, gives_final), piece_cache in cache.pieces:
        dx[steps, rows], dh_start, dc_start, of_piece = whole.backward(
            stack,
            piece_cache,
            dy[steps, rows],
            np.where(gives_final, dh_n[:, rows], 0),
            np.where(gives_final, dc_n[:, rows], 0),
            None if dc_y is None else dc_y[steps, rows],
        )
        # A row without steps begins from nothing: its gradients go on to the initial state.
        starts.h[:, rows] += np.where(takes_initial, 0, dh_start)
        starts.c[:, rows] += np.where(takes_initial, 0, dc_start)
        dh0[:, rows] = np.where(takes_initial, dh_start, dh0[:, rows])
        dc0[:, rows] = np.where(takes_initial, dc_start, dc0[:, rows])
        for sums, found in zip(dweights, of_piece, strict=True):
            for kind in sums:
                sums[kind] += found[kind]
    return dx, dh0, dc0, dweights


def memory(stack: Stack, cache: PiecesCache) -> Array:
    """Return the last layer's c after every step, [T, B, D*H]; 0 where a row has ended."""
    width, dtype = stack.num_directions * stack.hidden_size, stack.weights[0]["weight_hh"].dtype
    c = np.zeros((*cache.x_shape[:2], width), dtype)
    for (rows, steps, _, _), piece in cache.pieces:
        c[steps, rows] = whole.memory(stack, piece)
    return c


def checked_lengths(lengths: ArrayLike | None, T: int, B: int) -> list[int]:
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


def checked_reset(reset: ArrayLike | None, T: int, B: int) -> NDArray[np.bool_]:
    """Where pieces start, [T, B]; None as nowhere. Numbers are refused: they could be lengths by mistake."""
    array = np.zeros((T, B), bool) if reset is None else np.asarray(reset)
    if array.dtype != bool:
        raise ValueError(f"reset must be bools, got {array.dtype}")
    if array.shape != (T, B):
        raise ValueError(f"reset must have shape {(T, B)}, got {array.shape}")
    return array
