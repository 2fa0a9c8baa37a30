"""What training reads: batches of rows, each a sequence or a window of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .._base.checks import Array


@dataclass(frozen=True, eq=False)
class Batch:
    """One batch, time first.

    Attributes
    ----------
    x : [T, B, I]
    target
        What the head's outputs are held against. Where every step is scored, [T - skipped, B, ...]; where
        only the last is, [B, ...].
    weight : None, or an array that broadcasts to the target (for classes as integers, of its very shape)
        How much each place of the target counts; 0 where there is none.
    lengths : None, or int64 [B]
        Steps of each row; None: all have T.
    """

    x: Array
    target: NDArray[Any]
    weight: NDArray[Any] | None = None
    lengths: NDArray[np.int64] | None = None


def rows_at_once(longest: int) -> int:
    """Find of how many rows outputs are computed side by side: enough to fill the kernels' tiles, or one.

    What is kept of a row grows with its steps, and a batch of some 100,000 steps takes tens of MB.
    """
    return max(1, min(256, 2**17 // longest))


class Batches(Protocol):
    """Data that `fit` takes: `Windows`, `Sequences`, or anything with these."""

    @property
    def each_step(self) -> bool:
        """Whether the head reads the output of every step; else the state after the last one."""

    @property
    def skipped(self) -> int:
        """Steps at the beginning of each row whose outputs are not scored: the state is still empty."""

    @property
    def input_size(self) -> int:
        """I."""

    @property
    def longest(self) -> int:
        """Steps of the longest row."""

    def __len__(self) -> int:
        """How many rows there are."""

    def shuffled(self, batch_size: int, generator: np.random.Generator) -> Iterator[Batch]:
        """Give every row once, in an order of the generator's."""

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Give every row once, in an order that is always the same."""
