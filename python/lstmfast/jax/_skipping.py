"""Steps that are skipped in the midst of a row: `mask`, by operations of JAX's around the core.

A skipped step is one in every layer and direction, so what is left of a row is a sequence of its own, which
the core runs: its taken steps one after the other, with `lengths` and `reset` that say the same of them.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from .._base.parameters import Layout
from ._arguments import Sequence


class Skips:
    """Which steps of a batch are taken; arrays of all steps as ones of those, and back."""

    def __init__(self, mask: Any, lengths: Any, reset: Any, given: Sequence, layout: Layout) -> None:
        """Take mask and reset [T, B], and lengths [B]."""
        T, B = given.steps, given.rows
        self._given, self._layout = given, layout
        within = jnp.ones((T, B), bool) if lengths is None else jnp.arange(T)[:, None] < lengths
        self._within = within
        self._taken = mask & within
        count = self._taken.astype(jnp.int32)
        self._counts = count.sum(axis=0, dtype=jnp.int32)
        self._before = jnp.cumsum(count, axis=0, dtype=jnp.int32) - count  # steps taken before each
        self._order = jnp.argsort(~self._taken, axis=0, stable=True)  # of the taken steps, at which each is
        # A length that cannot be is the handler's to find.
        possible = True if lengths is None else (lengths >= 0) & (lengths <= T)
        self.lengths = jnp.where(possible, self._counts, self._counts if lengths is None else lengths)
        self.reset = None
        if reset is not None:
            # Each mark is the next taken step's. What comes after a row's last one is no matter.
            rows = jnp.broadcast_to(jnp.arange(B), (T, B))
            self.reset = jnp.zeros((T, B), bool).at[self._before, rows].max(reset, mode="drop")

    def taken(self, x: Any) -> Any:
        """Return x at the taken steps; what is past a row's last one nobody reads."""
        return self._along(x, self._order)

    def repeated(self, y: Any) -> Any:
        """Return outputs at all steps: at skipped ones that of the step that was run before, or 0."""
        forward, reverse = self._before + self._taken - 1, self._before
        sources = {False: (forward, self._within & (forward >= 0)), True: (reverse, reverse < self._counts)}
        width = y.shape[2] // self._layout.directions
        parts = []
        for n, way in enumerate(self._layout.ways):
            source, there = sources[way]
            part = self._along(
                y[:, :, n * width : (n + 1) * width], jnp.clip(source, 0, self._given.steps - 1)
            )
            parts.append(jnp.where(self._as_x(there)[:, :, None], part, 0))
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=2)

    def _along(self, array: Any, steps: Any) -> Any:
        """Take of each row these steps [T, B]."""
        axis = 1 if self._given.batch_first else 0
        return jnp.take_along_axis(array, self._as_x(steps)[:, :, None], axis=axis)

    def _as_x(self, marks: Any) -> Any:
        return marks.T if self._given.batch_first else marks
