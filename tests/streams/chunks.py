"""A sequence by a stream, in chunks and single steps, and by one call: what the tests of streams compare."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import lstmfast

from ..helpers import assert_same_bits

# The ways of usual arguments, and those through Python, with all checks and messages.
STEP: Any = lstmfast.Stream.step
RUN: Any = lstmfast.Stream.run
WAYS = {"fast": (STEP, RUN), "general": (STEP.__wrapped__, RUN.__wrapped__)}


def chunk(model: Any, x: Any, steps: slice) -> Any:
    """Some steps of x."""
    return x[:, steps] if model.batch_first else x[steps]


def whole(model: Any, x: Any, state: Any = None) -> tuple[Any, Any]:
    """y [T, B, H] and the state after it, of the model's own call."""
    y, end = model(x, state)
    return (y.swapaxes(0, 1) if model.batch_first else y), end


def streamed(model: Any, x: Any, cuts: list[int], state: Any = None, way: str = "fast") -> tuple[Any, Any]:
    """The same by a stream: chunks between the cuts, single steps where a chunk has one."""
    step, run = WAYS[way]
    axis = 1 if model.batch_first else 0
    T, B = x.shape[axis], x.shape[1 - axis]
    stream = model.stream(B)
    assert type(stream) is lstmfast.Stream
    if state is not None:
        stream.state = state
    ys = []
    for begin, end in itertools.pairwise([0, *sorted(cuts), T]):
        part = np.ascontiguousarray(chunk(model, x, slice(begin, end)))
        if end - begin == 1:
            ys.append(step(stream, part[:, 0] if model.batch_first else part[0])[np.newaxis])
        else:
            y = run(stream, part)
            ys.append(y.swapaxes(0, 1) if model.batch_first else y)
    return np.concatenate(ys), stream.state


def check_threads(model: Any, x: Any, turns: int) -> None:
    """However many threads there are, steps give the bits of the whole sequence on one."""
    lstmfast.set_num_threads(1)
    expected = whole(model, x)
    for threads in (1, 2, 3):
        lstmfast.set_num_threads(threads)
        for _ in range(turns):  # at first the threads are asleep
            assert_same_bits(streamed(model, x, list(range(1, len(x)))), expected, f"{threads} threads")
