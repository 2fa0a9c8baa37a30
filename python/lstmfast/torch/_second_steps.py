"""How a direction goes through the steps of a batch: which rows take part, and states on their way.

Sequences are [N, ...], all rows of the first step, then those of the second: [T, B, ...] where rows are
equally long, and else PyTorch's packed sequence, whose longest rows come first.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor


class Steps:
    """The steps of a direction, in the order in which it takes them."""

    def __init__(self, sizes: list[int], reverse: bool) -> None:
        """sizes: how many rows take part in each step, in the order of time; the first ones."""
        self.sizes = sizes[::-1] if reverse else sizes
        self._order = self._back = None
        if reverse:
            ends = list(accumulate(sizes))
            steps = zip(self.sizes, ends[::-1], strict=True)
            self._order = torch.cat([torch.arange(end - size, end, device="cpu") for size, end in steps])
            self._back = torch.argsort(self._order)

    def turned(self, sequence: Tensor) -> Tensor:
        """Put a sequence, [N, ...], into the order of these steps."""
        return sequence if self._order is None else sequence.index_select(0, self._order)

    def turned_back(self, sequence: Tensor) -> Tensor:
        """Undo `turned`."""
        return sequence if self._back is None else sequence.index_select(0, self._back)

    def parts(self, sequence: Tensor) -> Sequence[Tensor]:
        """Cut a sequence in this order into steps."""
        parts: Sequence[Tensor] = sequence.split(self.sizes)
        return parts

    def before(self, sequence: Tensor, brought: Tensor) -> Tensor:
        """Return what each row had before each step, [N, H], of what it has after it and brings, [B, H]."""
        state, found = Carried(brought), []
        for part in self.parts(sequence):
            found.append(state.of_rows(len(part)))
            state.now = part
        return torch.cat(found)


class Carried:
    """A state from step to step: rows that begin bring theirs, rows that end leave theirs."""

    def __init__(self, brought: Tensor) -> None:
        """brought: [B, H], of each row what it begins with, whenever that is."""
        self._brought = brought
        self._left = torch.empty_like(brought)
        self.now = brought[:0]

    def of_rows(self, rows: int) -> Tensor:
        """Return the state that a step with so many rows begins with, [rows, H]."""
        now, before = self.now, len(self.now)
        if rows < before:
            self._left[rows:before] = now[rows:]
            now = now[:rows]
        elif rows > before:
            now = torch.cat([now, self._brought[before:rows]])
        return now

    def left(self) -> Tensor:
        """Return what each row has at its end, [B, H], after the last step."""
        self._left[: len(self.now)] = self.now
        return self._left
