"""Streams and pools that come and go, stepped, reset, pickled, and called wrongly now and then.

What counts as a step is one call of `step`, of a stream or of a pool; chunks and all else come besides.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from .models import Models


class Streams:
    """A visit: some model, a stream or a pool of it, `each` steps; calling it is a visit of watch.py's."""

    def __init__(self, seed: int, each: int) -> None:
        self.chance = np.random.default_rng(seed)
        self.models = Models(self.chance, largest=12)
        self.each = each

    def __call__(self) -> int:
        model = self.models.one()
        smaller = model._KIND.smaller  # kinds of weights that it may have
        if smaller and self.chance.random() < 0.1:
            model = model.quantize(smaller[self.chance.integers(len(smaller))])
        ways = (self._out, self._new, self._pool, self._unusual, self._changing)
        return ways[self.chance.integers(len(ways))](model)

    def _frame(self, model: Any, *rows: int) -> Any:
        return self.chance.standard_normal((*rows, model.input_size)).astype(model.dtype)

    def _out(self, model: Any) -> int:
        """Frames of a few rows, into an array that is there; then a chunk of any length."""
        rows = int(self.chance.integers(1, 5))
        stream, x = model.stream(batch=rows), self._frame(model, rows)
        y = stream.step(x)
        for _ in itertools.repeat(None, self.each - 1):
            stream.step(x, out=y)
        stream.run(np.broadcast_to(x, (int(self.chance.integers(1, 40)), *x.shape)).copy())
        stream.reset()
        return self.each

    def _new(self, model: Any) -> int:
        """Frames of one row, each result an array of its own."""
        stream, x = model.stream(), self._frame(model)
        for _ in itertools.repeat(None, self.each):
            stream.step(x)
        state = stream.snapshot()
        stream.reset()
        stream.restore(state)
        pickle.loads(pickle.dumps(stream))
        return self.each

    def _pool(self, model: Any) -> int:
        """Streams of a pool open, step in changing company, and close; the pool grows."""
        capacity = int(self.chance.integers(2, 20))
        pool, company = model.stream_pool(capacity), 8
        ids = [pool.open() for _ in range(capacity)]
        for _ in range(company):
            some = np.array(self.chance.permutation(ids)[: self.chance.integers(1, len(ids) + 1)])
            x = self._frame(model, len(some))
            for _ in itertools.repeat(None, self.each // company):
                pool.step(some, x)
            gone = int(some[0])
            state = pool.state(gone)
            pool.close(gone)
            ids[ids.index(gone)] = new = pool.open()
            pool.set_state(new, state)
        pool.grow(capacity + 5)
        pickle.loads(pickle.dumps(pool))
        return self.each // company * company

    def _unusual(self, model: Any) -> int:
        """Frames that take the long way through Python, and calls that fail."""
        stream, count = model.stream(), max(1, self.each // 100)
        x = self._frame(model).tolist()
        for _ in itertools.repeat(None, count):
            stream.step(x)
        pool = model.stream_pool(2)
        id = pool.open()
        for _ in range(10):
            _refused(lambda: stream.step([*x[1:], 1.0, 2.0]))
            _refused(lambda: stream.run(np.zeros((2, 3, 4, 5))))
            _refused(lambda: pool.step([id, id], [x, x]))
            _refused(lambda: pool.close(id + 1))
        return count

    def _changing(self, model: Any) -> int:
        """Weights change while streams of theirs are stepped."""
        stream, x = model.stream(), self._frame(model)
        count = max(1, self.each // 100)
        for _ in range(5):
            if hasattr(model, "load_state_dict"):
                model.load_state_dict(model.state_dict())
            for _ in itertools.repeat(None, count):
                stream.step(x)
        return 5 * count


def _refused(call: Callable[[], object]) -> None:
    try:
        call()
    except (TypeError, ValueError, RuntimeError):
        return
    raise AssertionError("a wrong call was taken")
