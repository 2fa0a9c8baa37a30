"""What a framework's side hands over, and the numbers that all begin with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..helpers import Array

T, B, I, H = 6, 3, 4, 5  # no two alike, so that nothing can be taken for another


@dataclass
class Outcome:
    """A layer as its framework has it, what it was given and what it made of that."""

    kind: str  # the class of ours
    convention: str
    arrays: Any  # as `from_weights` takes them
    x: Array  # [T, B, I]
    y: Array  # [T, B, D*H]
    dy: Array | None = None
    gradients: Any = None  # of sum(dy * y) by the arrays, put together as they are
    options: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    written: Any = None  # what is written again, where that is not `arrays`
    with_rest: bool = False  # whether they have more than a layer: a state to begin with, a head behind it


def random(*shape: int, seed: int = 0) -> Array:
    """Numbers that leave gates open, float32."""
    return (0.6 * np.random.default_rng((seed, *shape)).standard_normal(shape)).astype(np.float32)


def random_like(shapes: Any) -> list[Array]:
    """One array for each shape, no two with the same numbers."""
    return [random(*shape, seed=k + 1) for k, shape in enumerate(shapes)]


def inputs(size: int = I) -> Array:
    """x, [T, B, size]."""
    return random(T, B, size, seed=100)


def output_gradient(size: int) -> Array:
    """dy, [T, B, size]."""
    return random(T, B, size, seed=200)


def time_first(array: Any) -> Array:
    """Turn [B, T, ...] into [T, B, ...], and back."""
    return np.ascontiguousarray(np.asarray(array).swapaxes(0, 1))
