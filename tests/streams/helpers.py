"""The plainest pool there is, to compare with: a dict from ids to states, each stepped alone by the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import lstmfast

from ..core_helpers import state_like
from ..helpers import Array, assert_same_bits, parts, random_state

# The way of usual arguments, and the way through Python, with all checks and messages.
_STEP: Any = lstmfast.StreamPool.step
STEPS: dict[str, Callable[..., Any]] = {"fast": _STEP, "general": _STEP.__wrapped__}


def zero_state(model: Any, rows: int) -> Any:
    """What a call begins with that brings no state."""
    return model(np.zeros((0, rows, model.input_size), model.dtype))[1]


def joined(model: Any, states: Sequence[Any]) -> Any:
    """States of one row each, as one of all rows."""
    halves = zip(*map(parts, [zero_state(model, 0), *states]), strict=True)
    arrays = [np.concatenate(half, axis=1) for half in halves]
    return state_like(model, arrays[0], arrays[-1])


def row_of(state: Any, row: int) -> Any:
    """The state of one row."""
    rows = tuple(half[:, row : row + 1].copy() for half in parts(state))
    return rows if isinstance(state, tuple) else rows[0]


def step_alone(model: Any, streams: dict[int, Any], ids: Sequence[int], x: Array) -> Array:
    """What a pool's step gives: each stream by itself."""
    y = np.zeros((len(ids), parts(zero_state(model, 0))[0].shape[2]), model.dtype)
    for n, id in enumerate(ids):
        one, streams[id] = model(x[n][None, None], streams[id])
        y[n] = one[0, 0]
    return y


def opened(model: Any, capacity: int, count: int, seed: int = 5) -> tuple[Any, dict[int, Any]]:
    """A pool with some open streams in random states, and those states."""
    pool = model.stream_pool(capacity)
    state = random_state(model, count, seed)
    streams = {pool.open(): row_of(state, n) for n in range(count)}
    pool.set_state(list(streams), state)
    return pool, streams


def check(pool: Any, streams: dict[int, Any], closed: Sequence[int] = ()) -> None:
    """Compare all that there is."""
    assert len(pool) == len(streams)
    assert pool.ids.dtype == np.int64
    assert sorted(pool.ids.tolist()) == sorted(streams)
    assert all(id in pool for id in streams)
    assert not any(id in pool for id in closed)
    assert_same_bits(pool.state(list(streams)), joined(pool.model, list(streams.values())))
