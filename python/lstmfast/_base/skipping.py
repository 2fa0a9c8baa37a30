"""Steps that are skipped in the midst of a row: `mask`, in calls and in training.

A skipped step is one in every layer and direction, so what is left of a row is a sequence of its own: its
taken steps, one after the other, with `lengths` and `reset` that say the same of them. That is what the core
runs; what comes out is spread over all steps again. Where few steps are taken, few are computed.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .checks import Array


class Skips:
    """Which steps of a batch are taken, and how arrays of all steps become ones of those, and back.

    K is the largest number of steps that a row takes. Arrays of steps are as the core has them: [T, B, ...],
    or [B, T, ...] with `batch_first`.

    Attributes
    ----------
    lengths : [B], or None where each row takes K steps
    reset : [K, B], or None where no row begins anew
        What the core is told of the taken steps.
    """

    def __init__(
        self,
        mask: NDArray[np.bool_],
        lengths: NDArray[np.int64] | None,
        reset: NDArray[np.bool_] | None,
        batch_first: bool,
        ways: tuple[bool, ...],
    ) -> None:
        """Take mask and reset [T, B], and lengths [B]; all are checked, and nobody else's.

        ways: of each direction, whether it is the reverse one.
        """
        T, B = mask.shape
        self._batch_first = batch_first
        self._reverse = ways
        self._within = np.ones((T, B), bool) if lengths is None else np.arange(T)[:, np.newaxis] < lengths
        self._taken = mask & self._within
        self._counts = counts = self._taken.sum(axis=0)
        self._steps = int(counts.max(initial=0))
        # [T, B]: how many steps were taken before each.
        self._before: NDArray[np.intp] = np.cumsum(self._taken, axis=0) - self._taken
        self.lengths = None if (counts == self._steps).all() else counts.astype(np.int64)
        self.reset = None if reset is None else self._marks(reset)

    def _marks(self, reset: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
        """Give each mark to the next step that is taken; what comes after a row's last one is no matter."""
        marks = np.zeros((self._steps, reset.shape[1]), bool)
        t, b = np.nonzero(reset & (self._before < self._steps))
        marks[self._before[t, b], b] = True
        return marks if marks.any() else None

    # Arrays of all steps, to those of the taken ones.

    def taken(self, array: Array) -> Array:
        """Return x, or the like, at the taken steps; zeros past a row's last one, which nobody reads."""
        steps = self._in_time(array)
        found = self._empty(array.shape[2], array.dtype)
        t, b = self._places
        self._in_time(found)[self._before[t, b], b] = steps[t, b]
        return found

    def sums(self, dy: Array) -> Array:
        """Return the gradient of each taken step's output: that of the output itself and of all repeats.

        That of the output itself comes first, and repeats in the order in which they were made.
        """
        found = self.taken(dy)
        whole, sums = self._in_time(dy), self._in_time(found)
        for reverse, features in self._ways(dy.shape[2]):
            source, made = self._sources[reverse]
            t, b = np.nonzero(made & ~self._taken)
            k = source[t, b]
            # All first repeats, then all second ones, and so on: of each output one at a time.
            repeat = np.abs(t - self._times[k, b])
            order = np.argsort(repeat, kind="stable")
            for part in np.split(order, 1 + np.flatnonzero(np.diff(repeat[order]))):
                sums[k[part], b[part], features] += whole[t[part], b[part], features]
        return found

    def dropped(self, masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return dropout's masks [L-1, T, B, F] at the taken steps, as [L-1, K, B, F]."""
        found = np.zeros((len(masks), self._steps, *masks.shape[2:]), bool)
        t, b = self._places
        found[:, self._before[t, b], b] = masks[:, t, b]
        return found

    # And back.

    def repeated(self, y: Array) -> Array:
        """Return outputs at all steps: at skipped ones that of the step before, or 0 where there is none.

        The step before is the one that the direction has run before. Past a row's length all is 0.
        """
        found = self._all(y)
        outputs, whole = self._in_time(y), self._in_time(found)
        for reverse, features in self._ways(y.shape[2]):
            source, made = self._sources[reverse]
            t, b = np.nonzero(made)
            whole[t, b, features] = outputs[source[t, b], b, features]
        return found

    def spread(self, dx: Array) -> Array:
        """Return x's gradient at all steps, 0 at skipped ones."""
        found = self._all(dx)
        t, b = self._places
        self._in_time(found)[t, b] = self._in_time(dx)[self._before[t, b], b]
        return found

    @property
    def nbytes(self) -> int:
        """Bytes of what is kept here: which steps are taken, and where they lie."""
        arrays = (self._within, self._taken, self._before, *self._places)
        return sum(array.nbytes for array in arrays) + sum(
            array.nbytes for source in self._sources for array in source
        )

    # What they are made of.

    @cached_property
    def _places(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Steps and rows of all taken steps."""
        t, b = np.nonzero(self._taken)
        return t, b

    @property
    def _times(self) -> NDArray[np.intp]:
        """At which step [K, B] each taken step is."""
        times = np.zeros((self._steps, self._taken.shape[1]), np.intp)
        t, b = self._places
        times[self._before[t, b], b] = t
        return times

    @cached_property
    def _sources(self) -> tuple[tuple[NDArray[np.intp], NDArray[np.bool_]], ...]:
        """By direction: which taken step's output each step has, and at which steps there is one."""
        # The forward direction has last run the last step taken up to this one, the reverse one the next.
        forward: NDArray[np.intp] = self._before + self._taken - 1
        reverse = self._before
        return (
            (forward, self._within & (forward >= 0)),
            (reverse, reverse < self._counts),
        )

    def _ways(self, features: int) -> list[tuple[bool, slice]]:
        """Return of each direction whether it is the reverse one, and its part of the features of y or c."""
        width = features // len(self._reverse)
        return [(way, slice(n * width, (n + 1) * width)) for n, way in enumerate(self._reverse)]

    def _in_time(self, array: Array) -> Array:
        """View an array with time first."""
        return array.swapaxes(0, 1) if self._batch_first else array

    def _empty(self, features: int, dtype: np.dtype[np.floating]) -> Array:
        """Make zeros for the taken steps."""
        rows = self._taken.shape[1]
        axes = (rows, self._steps) if self._batch_first else (self._steps, rows)
        return np.zeros((*axes, features), dtype)

    def _all(self, array: Array) -> Array:
        """Make zeros for all steps."""
        axes = self._taken.shape[::-1] if self._batch_first else self._taken.shape
        return np.zeros((*axes, array.shape[2]), array.dtype)
