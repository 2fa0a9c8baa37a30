"""Layers, heads and data for trainings that take milliseconds."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

import lstmfast
from lstmfast._fitting import Sequences, Windows, horizons
from lstmfast.training import Dense

from ..helpers import Array


def weights(*models: Any) -> dict[str, Array]:
    """All weights, by name."""
    return {
        f"{k} {name}": array for k, model in enumerate(models) for name, array in model.parameters.items()
    }


def checksum(arrays: dict[str, Array]) -> int:
    """Of the bits of arrays."""
    return zlib.crc32(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values()))


def forecaster(hidden: int = 8, ahead: int = 2, **options: Any) -> tuple[Any, Dense]:
    """An LSTM that reads one number a step, and a head that says so many."""
    return lstmfast.LSTM(1, hidden, seed=0, **options), Dense(hidden, ahead, seed=1)


def series(steps: int = 300) -> Array:
    """A wave and noise, [steps, 1]."""
    noise = np.random.default_rng(0).standard_normal(steps)
    numbers: Array = (np.sin(0.3 * np.arange(steps)) + 0.1 * noise)[:, np.newaxis].astype(np.float32)
    return numbers


def windows(first: int, last: int, ahead: int = 2) -> Windows:
    """Windows of `series` that begin there."""
    numbers = series()
    targets = horizons(numbers, ahead)[..., 0]
    return Windows(numbers, targets, 16, starts=np.arange(first, last), warm_up=4)


def rows(count: int, longest: int = 30, seed: int = 0) -> list[Array]:
    """Sequences of two numbers a step, of 1 to `longest` steps."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((steps, 2)) for steps in rng.integers(1, longest + 1, count)]


def signs(sequences: list[Array]) -> Sequences:
    """Sequences, and whether the sum of all numbers is above 0."""
    return Sequences(sequences, np.array([int(row.sum() > 0) for row in sequences]))
