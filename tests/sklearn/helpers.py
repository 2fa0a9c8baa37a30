"""Data that scikit-learn ships, or that is made, as sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstmfast import datasets

from ..helpers import Array

QUICK: dict[str, Any] = {"hidden_size": 8, "max_iter": 8, "learning_rate": 0.03, "random_state": 0}


def ragged(count: int, seed: int = 0) -> tuple[list[Array], Array]:
    """Sequences of 2 numbers a step, of 3 to 20 steps, and which of the two has the larger sum."""
    rng = np.random.default_rng(seed)
    rows = [rng.standard_normal((steps, 2)) for steps in rng.integers(3, 21, count)]
    return rows, np.where([row[:, 0].sum() > row[:, 1].sum() for row in rows], "first", "second")


def sunspots(length: int = 24) -> tuple[Array, Array, Array]:
    """Every window of so many years, [n, length, 1], the year after each, and the last of each."""
    _, numbers = datasets.sunspots()
    windows = np.lib.stride_tricks.sliding_window_view(numbers, length + 1)
    return windows[:, :-1, np.newaxis], windows[:, -1], windows[:, -2]
