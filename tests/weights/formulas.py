"""What cells compute, as their frameworks publish it, in plain NumPy: nothing here knows the package.

A framework's case says how it makes the arguments of its gates; what follows is the same for all, written
once: of an LSTM ``c' = f * c + i * g``, ``h' = o * tanh(c')``; of a GRU the mean of n and h by z.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any  # of float64: of what NumPy makes of such, types say no more

T, I, H, P = 5, 3, 4, 2  # no two alike, so that nothing can be taken for another


@dataclass
class Case:
    """A layer as somebody has it, what it is given and what it makes of that."""

    called: str
    kind: str
    convention: str
    arrays: Any
    y: Array  # [T, D*H]
    options: dict[str, Any] = field(default_factory=dict)
    rest: dict[str, Any] | None = None  # that come with the weights
    tolerance: float = 1e-12
    written: Any = None  # what is written again, where that is not `arrays`


class Numbers:
    """Random arrays, no two alike, large enough that every gate matters."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)

    def __call__(self, *shape: int) -> Array:
        return 0.7 * self.generator.standard_normal(shape)


X = Numbers(99)(T, I)


def sigmoid(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def lstm(
    x: Array,
    gates: Callable[[Array, Array], Any],
    *,
    peepholes: Any = (0.0, 0.0, 0.0),
    projection: Array | None = None,
    h: Array | None = None,
    c: Array | None = None,
) -> Array:
    """y, of the arguments i, f, g, o of x_t and h, and peepholes of i, f, o; projection [H, P]."""
    h = np.zeros(H if projection is None else projection.shape[1]) if h is None else h
    c = np.zeros(H) if c is None else c
    y = []
    for step in x:
        i, f, g, o = gates(step, h)
        i, f = sigmoid(i + peepholes[0] * c), sigmoid(f + peepholes[1] * c)
        c = f * c + i * np.tanh(g)
        h = sigmoid(o + peepholes[2] * c) * np.tanh(c)
        h = h if projection is None else h @ projection
        y.append(h)
    return np.array(y)


def gru(
    x: Array,
    gates: Callable[[Array, Array], Any],
    candidate: Callable[[Array, Array, Array], Array],
    *,
    new_share: bool = False,
) -> Array:
    """y, of the arguments r, z of x_t and h, and of n's, of x_t, h and r; new_share: z is n's share."""
    h = np.zeros(H)
    y = []
    for step in x:
        r, z = (sigmoid(a) for a in gates(step, h))
        n = np.tanh(candidate(step, h, r))
        h = z * n + (1 - z) * h if new_share else (1 - z) * n + z * h
        y.append(h)
    return np.array(y)


def rnn(x: Array, argument: Callable[[Array, Array], Array], activation: Any = np.tanh) -> Array:
    h = np.zeros(H)
    y = []
    for step in x:
        h = activation(argument(step, h))
        y.append(h)
    return np.array(y)


def both_ways(x: Array, *ways: Callable[[Array], Array]) -> Array:
    forward, reverse = ways
    return np.concatenate([forward(x), reverse(x[::-1])[::-1]], axis=1)


def split(whole: Array, count: int) -> list[Array]:
    """Blocks of neighbouring numbers, on the first axis."""
    return np.split(whole, count)
