"""What the core's forward pass keeps for backward, in one block of memory: its tape (cpp/core/tape.h)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from ._weights import Spec

# Where each part begins.
_LINE_BYTES = 64


class Kept(NamedTuple):
    """Parts of a block. N places are T * B, time-major, or a packed sequence's."""

    hidden: list[Tensor]  # [L-1] of [N, D*S], outputs of all layers but the last
    # [L*D] of [N, 4, H], activated; of a GRU n, r, z, and q, what h makes of n before r. None of an RNN, nor
    # where they are made anew.
    gates: list[Tensor]
    c: list[Tensor]  # [L*D] of [N, H]; of an LSTM alone


def size(
    spec: Spec,
    places: int,
    rows: int,
    itemsize: int,
    dropout: bool,
    recompute: bool = False,
    cut_rows: int = 0,
) -> int:
    """Count a block's numbers: `tape_size` of the core, for sizes that may be symbols.

    Compiled graphs that Inductor has cached on disk hold this size, and do not ask again: another layout of
    the tape needs another name of the operators.
    """
    parts = _parts(spec, places, rows, dropout, recompute, cut_rows)
    return sum(_whole_lines(count, itemsize) for _, count in parts)


def parts_of(reserve: Tensor, spec: Spec, places: int, rows: int, dropout: bool) -> Kept:
    """Find the parts in a block that has the gates."""
    kept, begin = Kept([], [], []), 0
    shapes = {
        "hidden": (places, spec.features),
        "gates": (places, spec.kept_gates, spec.hidden_size),
        "c": (places, spec.hidden_size),
    }
    for name, count in _parts(spec, places, rows, dropout, recompute=False):
        if name in shapes:
            getattr(kept, name).append(reserve[begin : begin + count].view(shapes[name]))
        begin += _whole_lines(count, reserve.itemsize)
    return kept


def parts_of_steps(spec: Spec, itemsize: int, rows: Sequence[int]) -> Iterator[list[int]]:
    """Find the parts in blocks of single steps of so many rows, each followed by h.

    Of each part, how many numbers a row has, and where it begins in each block.
    """
    begins = [0] * len(rows)
    of_row = [*_parts(spec, 1, 1, dropout=False, recompute=False), ("h", spec.hidden_size)]
    for _, width in of_row:
        yield [width, *begins]
        begins = [at + _whole_lines(width * n, itemsize) for at, n in zip(begins, rows, strict=True)]


def _parts(
    spec: Spec, places: int, rows: int, dropout: bool, recompute: bool, cut_rows: int = 0
) -> Iterator[tuple[str, int]]:
    """Name what a block holds, in its order, and how many numbers each has."""
    for _ in range(spec.num_layers - 1):
        yield "hidden", places * spec.features
        if dropout:
            yield "dropped", places * spec.features
    for _ in range(spec.depth):
        if spec.kept_gates and not recompute:
            yield "gates", places * spec.kept_gates * spec.hidden_size
        if spec.has_memory:
            yield "c", places * spec.hidden_size
    yield "h_0", spec.depth * rows * spec.state_size
    if spec.has_memory:
        yield "c_0", spec.depth * rows * spec.hidden_size
    yield "cut_h", spec.depth * cut_rows * spec.state_size
    if spec.has_memory:
        yield "cut_c", spec.depth * cut_rows * spec.hidden_size


def _whole_lines(count: int, itemsize: int) -> int:
    line = _LINE_BYTES // itemsize
    return (count + line - 1) // line * line
