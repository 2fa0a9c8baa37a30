"""Calls on a pool of streams, one after the other, against a model in plain Python."""

from __future__ import annotations

import operator
import pickle
from typing import Any

import numpy as np

from ..draw import Draw
from ..layers import close, same_bits
from ..outcome import REFUSED, expect, outcome
from ..plain_streams import Plain, frame, row_state, streamed, usable


def shape_of(ids: Any) -> tuple[int, ...]:
    """As NumPy has it; of what it has none of, one that is refused anyway."""
    try:
        return np.shape(ids)
    except ValueError:
        return ()


def are_ids(ids: Any) -> bool:
    """Whether they are integers, one or several: bools and floats are no ids."""
    if isinstance(ids, (list, tuple)) and not ids:
        return True
    array = np.asarray(ids)
    return array.dtype.kind in "iu" and array.ndim <= 1


class OfPool:
    """A pool; all ids that were ever given are known."""

    def __init__(self, draw: Draw) -> None:
        self.draw, self.model = draw, streamed(draw)
        self.plain = Plain(self.model)
        self.capacity = 1 + draw.below(5)
        self.pool = self.model.stream_pool(self.capacity)
        self.given: list[int] = []

    def some(self) -> Any:
        """Ids, mostly open ones, each once."""
        draw, opened = self.draw, sorted(self.plain.states)
        if draw.seldom():
            return draw.value()
        if draw.seldom() and self.given:
            return [draw.one_of(self.given) for _ in range(draw.below(4))]
        if not opened:
            return []
        at = draw.below(len(opened))
        ids = (opened[at:] + opened[:at])[: 1 + draw.below(4)]
        return ids[0] if len(ids) == 1 and draw.flag() else np.array(ids) if draw.flag() else ids

    def right(self, ids: Any) -> bool:
        try:
            if not are_ids(ids):
                return False
        except ValueError:
            return False
        flat = np.ravel(np.asarray(ids)).tolist()
        return len(set(flat)) == len(flat) and all(each in self.plain.states for each in flat)

    def turn(self) -> None:
        draw, plain, pool, I = self.draw, self.plain, self.pool, self.model.input_size
        names = sorted(plain.states)
        before = pool.state(names)
        kind = draw.below(9)
        if kind < 2:
            state = None if draw.flag() else row_state(draw, plain)
            id = outcome(lambda: pool.open(state), RuntimeError)
            if id is not REFUSED:
                expect(id not in self.given and len(names) < self.capacity, "an id is given twice")
                self.given.append(id)
                plain.states[id] = []
                plain.take([id], pool.state([id]))
                if state is None:
                    expect(all(not half.any() for half in plain.states[id]), "a new stream is not zero")
        elif kind == 2:
            ids = self.some()
            if self.accepted(ids, outcome(lambda: pool.close(ids) or True)):
                for id in np.atleast_1d(np.asarray(ids, int)):
                    del plain.states[int(id)]
        elif kind < 5:
            ids = self.some()
            shape = (*shape_of(ids)[:1], I)
            x = frame(draw, shape, self.model.dtype.str)
            y = outcome(lambda: pool.step(ids, x))
            if y is not REFUSED:
                expect(self.right(ids), f"a step of {ids!r}")
                flat = [int(id) for id in np.atleast_1d(np.asarray(ids, int))]
                if usable(x, shape):
                    right = plain.step(flat, np.asarray(x).reshape(len(flat), I))
                    expect(close(y.reshape(right.shape), right, self.model.dtype), "y of a pool's step")
                else:
                    pool.reset(flat)
                    for id in flat:
                        plain.states[id] = plain.zero()
                names = sorted(plain.states)
        elif kind == 5:
            ids, to = self.some(), None if draw.flag() else row_state(draw, plain)
            if outcome(lambda: pool.reset(ids, to=to) or True) is not REFUSED:
                expect(self.right(ids), f"a reset of {ids!r}")
                flat = [int(id) for id in np.atleast_1d(np.asarray(ids, int))]
                plain.take(flat, pool.state(flat))
        elif kind == 6:
            capacity = draw.integer() if draw.flag() else self.capacity + draw.below(3)
            if capacity <= 1 << 10 and outcome(lambda: pool.grow(capacity) or True) is not REFUSED:
                expect(capacity >= self.capacity, "a pool has become smaller")
                self.capacity = capacity
        elif kind == 7:
            id = draw.value() if draw.flag() or not self.given else draw.one_of(self.given)
            try:
                known = operator.index(id) in plain.states
            except TypeError:
                known = False
            expect((id in pool) == known, f"{id!r} in a pool")
        else:
            self.pool = pool = pickle.loads(pickle.dumps(pool))
            expect(same_bits(pool.state(names), before), "a pickled pool has other states")
        self.check(before, names)

    def accepted(self, ids: Any, done: Any) -> bool:
        expect((done is not REFUSED) == self.right(ids), f"ids {ids!r}: {done!r}")
        return done is not REFUSED

    def check(self, before: Any, names: list[int]) -> None:
        pool, plain = self.pool, self.plain
        opened = sorted(plain.states)
        expect(sorted(pool.ids.tolist()) == opened and len(pool) == len(opened), "the open ids of a pool")
        expect(pool.capacity == self.capacity, "the capacity of a pool")
        expect(plain.agrees(pool.state(opened), opened), "the states of a pool")
        plain.take(opened, pool.state(opened))


def one(data: bytes) -> None:
    draw = Draw(data)
    case = OfPool(draw)
    for _ in range(24):
        if draw.empty:
            break
        case.turn()
