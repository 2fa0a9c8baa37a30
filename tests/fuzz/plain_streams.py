"""Streams in plain Python: a state for each, which the reference steps by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from .draw import Draw, nearly, numbers
from .layers import close, layer, made, parts, reference_of
from .outcome import REFUSED, expect, outcome


class Plain:
    """States of streams by name, each [L, width] of h and, where there is one, c."""

    def __init__(self, model: Any) -> None:
        self.model = model
        widths = (getattr(model, "proj_size", 0) or model.hidden_size, model.hidden_size)
        self.widths = widths if model._KIND.has_memory else widths[:1]
        self.states: dict[Any, list[Any]] = {}

    def zero(self) -> list[Any]:
        return [np.zeros((self.model.num_layers, width)) for width in self.widths]

    def step(self, names: Any, x: Any) -> Any:
        """One step of each, by itself; x [n, I], y [n, S]."""
        rows = []
        for name, row in zip(names, x, strict=True):
            halves = [half[:, np.newaxis] for half in self.states[name]]
            y, state, _ = reference_of(self.model).forward(row[np.newaxis, np.newaxis].astype("f8"), *halves)
            self.states[name] = [half[:, 0] for half in state if half is not None]
            rows.append(y[0, 0])
        return np.array(rows).reshape(len(rows), self.widths[0])

    def joined(self, names: Any) -> list[Any]:
        depth = self.model.num_layers
        return [
            np.stack([self.states[name][k] for name in names], axis=1)
            if names
            else np.zeros((depth, 0, width))
            for k, width in enumerate(self.widths)
        ]

    def agrees(self, state: Any, names: Any) -> bool:
        return all(close(a, b, "f4") for a, b in zip(parts(state), self.joined(names), strict=True))

    def take(self, names: Any, state: Any) -> None:
        """Go on from the states themselves: what has been compared need not grow apart."""
        for at, name in enumerate(names):
            self.states[name] = [half[:, at].astype("f8") for half in parts(state)]


def streamed(draw: Draw) -> Any:
    """A layer that can be streamed; others refuse."""
    model = layer(draw)
    if not model.bidirectional and model.direction == "forward":
        return model
    expect(outcome(model.stream) is REFUSED, "a stream of a layer that runs in reverse")
    expect(outcome(lambda: model.stream_pool(2)) is REFUSED, "a pool of a layer that runs in reverse")
    return made(0, model.dtype.name, model.isa)


def row_state(draw: Draw, plain: Plain) -> Any:
    """A state of one row, right or nearly."""
    if draw.seldom():
        return draw.value()
    halves = [numbers(draw, (plain.model.num_layers, width)) for width in plain.widths]
    halves = [np.clip(np.nan_to_num(half), -9, 9) for half in halves]
    return tuple(halves) if len(halves) > 1 else halves[0]


def frame(draw: Draw, shape: tuple[int, ...], dtype: str) -> Any:
    """Numbers that stay numbers, so that all that follows can be compared; or what may be refused."""
    if draw.seldom():
        return nearly(draw, shape, dtype)
    return np.random.default_rng(draw.byte()).standard_normal(shape).astype(dtype)


def usable(x: Any, shape: tuple[int, ...]) -> bool:
    """Whether it is what a model in plain Python can follow."""
    if np.shape(x) != shape:
        return False
    array = np.asarray(x)
    return array.dtype.kind in "fiub" and bool((np.abs(array.astype("f8")) < 100).all())
