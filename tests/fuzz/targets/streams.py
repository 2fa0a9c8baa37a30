"""Calls on a stream, one after the other, against a model in plain Python."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

from ..draw import Draw
from ..layers import close, parts, same_bits
from ..outcome import REFUSED, expect, outcome
from ..plain_streams import Plain, frame, row_state, streamed, usable


class OfStream:
    """A stream of B rows, named 0 to B-1."""

    def __init__(self, draw: Draw) -> None:
        self.draw, self.model = draw, streamed(draw)
        self.plain = Plain(self.model)
        self.B = 1 + draw.below(3)
        self.stream = self.model.stream(self.B)
        self.names = list(range(self.B))
        self.plain.states = {name: self.plain.zero() for name in self.names}
        self.kept: list[tuple[Any, dict[Any, list[Any]]]] = []

    def turn(self) -> None:
        draw, plain, I = self.draw, self.plain, self.model.input_size
        kind = draw.below(9)
        before = self.stream.state
        if kind < 2:
            one = self.B == 1 and draw.flag()
            x = frame(draw, (I,) if one else (self.B, I), self.model.dtype.str)
            y = outcome(lambda: self.stream.step(x))
            if self.refused(y, before) or not self.followed(x, (I,) if one else (self.B, I)):
                return
            right = plain.step(self.names, np.asarray(x).reshape(self.B, I))
            expect(close(y.reshape(right.shape), right, self.model.dtype), "y of a step")
        elif kind < 4:
            T = draw.below(4)
            axes = (self.B, T) if self.model.batch_first else (T, self.B)
            x = frame(draw, (*axes, I), self.model.dtype.str)
            y = outcome(lambda: self.stream.run(x))
            if self.refused(y, before) or not self.followed(x, (*axes, I)):
                return
            by_time = np.asarray(x).swapaxes(0, 1) if self.model.batch_first else np.asarray(x)
            for t in range(T):
                right = plain.step(self.names, by_time[t])
                expect(
                    close(y[:, t] if self.model.batch_first else y[t], right, self.model.dtype),
                    "y of a chunk",
                )
        elif kind == 4:
            self.reset(before)
        elif kind == 5:
            state = draw.value() if draw.flag() else self.model(np.zeros((*self.axes(1), I)))[1]
            if self.refused(outcome(lambda: self.set_state(state)), before):
                return
            plain.take(self.names, self.stream.state)
        elif kind == 6:
            self.kept.append((self.stream.snapshot(), dict(plain.states)))
        elif kind == 7 and self.kept:
            snapshot, states = draw.one_of(self.kept)
            self.stream.restore(snapshot)
            plain.states = dict(states)
        else:
            self.stream = pickle.loads(pickle.dumps(self.stream))
            expect(same_bits(self.stream.state, before), "a pickled stream has another state")
        expect(plain.agrees(self.stream.state, self.names), "the state of a stream")
        plain.take(self.names, self.stream.state)

    def set_state(self, state: Any) -> bool:
        self.stream.state = state
        return True

    def axes(self, T: int) -> tuple[int, int]:
        return (self.B, T) if self.model.batch_first else (T, self.B)

    def refused(self, result: Any, before: Any) -> bool:
        if result is REFUSED:
            expect(same_bits(self.stream.state, before), "a call that is refused has changed a stream")
        return result is REFUSED

    def followed(self, x: Any, shape: tuple[int, ...]) -> bool:
        """Or begin again from zero, where numbers are not to be compared."""
        if not usable(x, shape):
            self.stream.reset()
            self.plain.states = {name: self.plain.zero() for name in self.names}
            return False
        return True

    def reset(self, before: Any) -> None:
        draw, plain = self.draw, self.plain
        rows = (
            None
            if draw.flag()
            else draw.value()
            if draw.seldom()
            else [draw.below(self.B + draw.seldom()) for _ in range(draw.below(3))]
        )
        to = None if draw.flag() else row_state(draw, plain)
        done = outcome(lambda: self.stream.reset(rows, to=to) or True)
        if self.refused(done, before):
            return
        chosen = (
            self.names
            if rows is None
            else np.arange(self.B)[np.asarray(rows, None if np.size(rows) else int)].reshape(-1)
        )
        for row in chosen:
            plain.states[int(row)] = (
                plain.zero()
                if to is None
                else [
                    np.zeros((self.model.num_layers, w)) if h is None else np.asarray(h, "f8")
                    for h, w in zip(parts(to), plain.widths, strict=True)
                ]
            )


def one(data: bytes) -> None:
    draw = Draw(data)
    case = OfStream(draw)
    for _ in range(24):
        if draw.empty:
            break
        case.turn()
