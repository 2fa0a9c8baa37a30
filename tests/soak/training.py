"""Training steps, forward, backward and Adam, each with a shape of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstmfast import training

from .models import Models

# Tapes stay below 2 MiB: larger ones begin at a large page, and what lies before it is counted as given out.
LARGEST, LONGEST, MOST_ROWS = 32, 24, 12


class Training:
    """A visit: some model, `each` steps of it; calling it is a visit of watch.py's."""

    def __init__(self, seed: int, each: int) -> None:
        self.chance = np.random.default_rng(seed)
        self.models = Models(
            self.chance,
            largest=LARGEST,
            bidirectional=(False, True),
            batch_first=(False, True),
            dropout=(0.0, 0.0),
        )
        self.each = each

    def __call__(self) -> int:
        model = self.models.one()
        adam = training.Adam(model, learning_rate=1e-4)
        for _ in range(self.each):
            self._step(model, adam)
        return self.each

    def _step(self, model: Any, adam: training.Adam) -> None:
        chance = self.chance
        T, B = int(chance.integers(1, LONGEST + 1)), int(chance.integers(1, MOST_ROWS + 1))
        axes = (B, T) if model.batch_first else (T, B)
        x = chance.standard_normal((*axes, model.input_size)).astype(model.dtype)
        y, _, tape = model.forward(x, recompute=bool(chance.integers(2)), **self._cuts(axes, T, B))
        _, dy = training.mean_squared_error(y, np.zeros_like(y))
        grads = model.backward(tape, dy)
        adam.step(grads.parameters)

    def _cuts(self, axes: tuple[int, int], T: int, B: int) -> dict[str, Any]:
        """Rows of lengths of their own, or episodes, or steps that are skipped, or none of these."""
        chance = self.chance
        return (
            {},
            {"lengths": chance.integers(0, T + 1, B)},
            {"reset": chance.random(axes) < 0.1},
            {"mask": chance.random(axes) < 0.8},
        )[chance.integers(4)]
