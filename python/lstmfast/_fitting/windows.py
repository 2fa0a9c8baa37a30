"""Windows of a long series, scored at every step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from .._base import checks
from .._base.checks import Array
from .batches import Batch


class Windows:
    """Windows of `length` steps; the series is not copied if it is C-ordered, but for the windows of a batch.

    Parameters
    ----------
    inputs : [N, I]
        What is read at each step; finite in every window.
    targets : [N, K] or [N, ...]
        What is to be said after each step, such as `horizons` makes it, flattened to K numbers. NaN where
        there is nothing to be said: these places are not scored.
    length : int
        T, steps of a window.
    starts : integers [W], or None
        The windows' first steps. None: every one from 0 to N - length.
    warm_up : int
        Steps at the beginning of each window that are read and not scored, less than `length`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or a window has no step that is scored.
    """

    each_step = True

    def __init__(
        self,
        inputs: ArrayLike,
        targets: ArrayLike,
        length: int,
        *,
        starts: ArrayLike | None = None,
        warm_up: int = 0,
    ) -> None:
        self._inputs = np.ascontiguousarray(checks.real_array(inputs, "inputs"))  # as `take` is fast on
        self._targets = checks.real_array(targets, "targets")
        if self._inputs.ndim != 2 or 0 in self._inputs.shape:
            raise ValueError(f"inputs: expected shape [N, I], got {self._inputs.shape}")
        steps = len(self._inputs)
        if self._targets.ndim < 2 or len(self._targets) != steps or 0 in self._targets.shape:
            raise ValueError(
                f"targets: expected shape [N, K] with N = {steps} as inputs have it,"
                f" got {self._targets.shape}"
            )
        self.longest = self.length = checks.integer(length, "length", 1, steps)
        self.skipped = checks.integer(warm_up, "warm_up", 0, self.length - 1)
        self._starts = self._checked(starts, steps - self.length)
        self.input_size = self._inputs.shape[1]
        self.target_size = self._targets[0].size
        seen = sliding_window_view(np.isfinite(self._inputs).all(axis=1), self.length)[self._starts]
        if not seen.all():
            window = int(np.flatnonzero(~seen.all(axis=1))[0])
            step = int(self._starts[window] + np.flatnonzero(~seen[window])[0])
            raise ValueError(
                f"inputs: expected finite numbers in every window, got {self._inputs[step]} at step {step}"
            )
        if np.isinf(self._targets).any():
            raise ValueError("targets: expected finite numbers, or NaN where there is none, got infinity")
        self._known = ~np.isnan(self._targets).all(axis=tuple(range(1, self._targets.ndim)))
        scored = sliding_window_view(self._known, self.length)[self._starts, self.skipped :].any(axis=1)
        if not scored.all():
            start = int(self._starts[~scored][0])
            raise ValueError(
                f"targets: expected a number in every window after its warm-up, got none from step {start}"
            )

    def __len__(self) -> int:
        """How many windows there are."""
        return len(self._starts)

    def shuffled(self, batch_size: int, generator: np.random.Generator) -> Iterator[Batch]:
        """Give every window once, in an order of the generator's."""
        return self._cut(generator.permutation(self._starts), batch_size)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Give every window once, in the order of `starts`."""
        return self._cut(self._starts, batch_size)

    def _cut(self, starts: NDArray[np.int64], batch_size: int) -> Iterator[Batch]:
        steps = np.arange(self.length)[:, np.newaxis]
        for first in range(0, len(starts), batch_size):
            places = starts[first : first + batch_size] + steps  # [T, B]
            target = self._targets[places[self.skipped :]]
            target = target.reshape(*target.shape[:2], self.target_size)
            unknown = np.isnan(target)
            weight = ~unknown if unknown.any() else None
            if weight is not None:
                target[unknown] = 0
            yield Batch(self._inputs.take(places, axis=0), target, weight)

    @staticmethod
    def _checked(starts: ArrayLike | None, last: int) -> NDArray[np.int64]:
        if starts is None:
            return np.arange(last + 1)
        given = checks.array_of(starts, "starts", "iu", "an array of integers")
        if given.ndim != 1 or not len(given):
            raise ValueError(f"starts: expected shape [W] with at least one window, got {given.shape}")
        outside = given[(given < 0) | (given > last)]
        if len(outside):
            raise ValueError(f"starts: expected integers from 0 to {last}, got {outside[0]}")
        return given.astype(np.int64)


def horizons(series: Array, steps: int) -> Array:
    """Find what follows each step of a series: [N, C] to [N, steps, C], NaN beyond its end.

    ``horizons(series, H)[t, h]`` is ``series[t + 1 + h]``. It is a view of one copy of the series: a step's
    targets take no memory of their own.
    """
    padded = np.full((len(series) + steps, series.shape[1]), np.nan, series.dtype)
    padded[: len(series)] = series
    return sliding_window_view(padded[1:], steps, axis=0).swapaxes(1, 2)
