"""Sequences of different lengths, put together by length so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .._base import checks
from .._base.checks import AnyArray, Array
from .batches import Batch

# How much longer than another a sequence may be and come before it: else the same ones would always be
# together. Of a batch that is so made, about so much is padding, at most.
MIXED = 0.1


class Sequences:
    """Sequences, each with one target after its last step or with one at each of its steps.

    Parameters
    ----------
    sequences : array [n, T, I], or n arrays [T_k, I]
        Of at least one step each; finite.
    targets : array [n, ...], or n arrays [T_k, ...]
        One for each sequence, or with `each_step` one for each step. Integers are classes.
    weights : array [n], or None
        How much each sequence counts.
    each_step : bool
        Whether targets are of each step.
    warm_up : int
        With `each_step`: first steps that are not scored.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above; the message names the sequence.
    """

    def __init__(
        self,
        sequences: Array | Sequence[Array],
        targets: AnyArray | Sequence[AnyArray],
        *,
        weights: AnyArray | None = None,
        each_step: bool = False,
        warm_up: int = 0,
    ) -> None:
        self._rows = checked_rows(sequences)
        self.each_step = checks.flag(each_step, "each_step")
        self.skipped = checks.integer(warm_up, "warm_up", 0)
        self.input_size = self._rows[0].shape[1]
        self.lengths = np.array([len(row) for row in self._rows], np.int64)
        self.longest = int(self.lengths.max())
        if len(targets) != len(self._rows):
            raise ValueError(
                f"targets: expected {len(self._rows)}, one for each sequence, got {len(targets)}"
            )
        if self.skipped and not self.each_step:
            raise ValueError(f"warm_up: expected 0 where only last steps are scored, got {self.skipped}")
        if self.each_step:
            self._check_steps(targets)
        self._targets = targets
        self._weights = weights
        if weights is not None and np.shape(weights) != (len(self._rows),):
            raise ValueError(f"weights: expected shape ({len(self._rows)},), got {np.shape(weights)}")

    def _check_steps(self, targets: AnyArray | Sequence[AnyArray]) -> None:
        for k, (target, length) in enumerate(zip(targets, self.lengths, strict=True)):
            if len(target) != length:
                raise ValueError(
                    f"targets[{k}]: expected {length} steps, as the sequence has, got {len(target)}"
                )
        if self.skipped >= self.lengths.min():
            k = int(self.lengths.argmin())
            raise ValueError(
                f"warm_up: expected less than the steps of the shortest sequence, {self.lengths[k]} of"
                f" sequences[{k}], got {self.skipped}"
            )

    def __len__(self) -> int:
        """How many sequences there are."""
        return len(self._rows)

    def shuffled(self, batch_size: int, generator: np.random.Generator) -> Iterator[Batch]:
        """Give every sequence once; which are together, and in what order, is the generator's to say."""
        # Where all have one length this is a plain shuffle.
        noise = 1 + MIXED * generator.random(len(self))
        cut = _cut(np.argsort(self.lengths * noise, kind="stable"), batch_size)
        for place in generator.permutation(len(cut)):
            yield self._batch(cut[place])

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Give every sequence once, the shortest first."""
        for rows in _cut(np.argsort(self.lengths, kind="stable"), batch_size):
            yield self._batch(rows)

    def _batch(self, rows: NDArray[np.intp]) -> Batch:
        x, lengths = padded(self._rows, rows)
        if not self.each_step:
            target = np.stack([self._targets[k] for k in rows])
            weight = None
            if self._weights is not None:
                weight = self._weights[rows].reshape(-1, *(1,) * (target.ndim - 1))
            return Batch(x, target, weight, lengths)
        steps = len(x) - self.skipped
        first = self._targets[rows[0]]
        target = np.zeros((steps, len(rows), *first.shape[1:]), first.dtype)
        weight = np.zeros(target.shape[:2])
        for b, k in enumerate(rows):
            scored = len(self._rows[k]) - self.skipped
            target[:scored, b] = self._targets[k][self.skipped :]
            weight[:scored, b] = 1 if self._weights is None else self._weights[k]
        if target.ndim > 2:
            weight = weight[..., np.newaxis]
        return Batch(x, target, weight, lengths)


def checked_rows(sequences: Array | Sequence[Array], name: str = "sequences") -> list[Array]:
    """Check sequences, which messages call `name`; return them as a list of arrays [T_k, I]."""
    rows = [checks.real_array(row, f"{name}[{k}]") for k, row in enumerate(sequences)]
    if not rows:
        raise ValueError(f"{name}: expected at least one, got none")
    for k, row in enumerate(rows):
        if row.ndim != 2 or row.shape[1] != rows[0].shape[1]:
            I = rows[0].shape[1] if rows[0].ndim == 2 else "I"
            raise ValueError(f"{name}[{k}]: expected shape [T, {I}], got {row.shape}")
        if 0 in row.shape:
            raise ValueError(f"{name}[{k}]: expected at least one step and one number, got shape {row.shape}")
        if not np.isfinite(row).all():
            step = int(np.flatnonzero(~np.isfinite(row).all(axis=1))[0])
            raise ValueError(f"{name}[{k}]: expected finite numbers, got {row[step]} at step {step}")
    return rows


def padded(rows: Sequence[Array], chosen: NDArray[np.intp]) -> tuple[Array, NDArray[np.int64] | None]:
    """Put some sequences side by side: x [T, B, I], and their lengths, None if all are T."""
    lengths = np.array([len(rows[k]) for k in chosen], np.int64)
    T = int(lengths.max())
    x = np.zeros((T, len(chosen), rows[0].shape[1]), np.result_type(*{rows[k].dtype for k in chosen}))
    for b, k in enumerate(chosen):
        x[: lengths[b], b] = rows[k]
    return x, None if (lengths == T).all() else lengths


def _cut(order: NDArray[np.intp], batch_size: int) -> list[NDArray[np.intp]]:
    """Cut an order of rows into batches of nearly the same size, none of them larger."""
    return np.array_split(order, -(-len(order) // batch_size))
