"""Pickles of our own objects with other numbers, names and shapes in them: made again, or refused in words.

What a pickle calls stays as it is: only what it hands to our functions changes.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import lstmfast

from ..changed import other
from ..draw import Draw
from ..layers import OPTIONS, made, same_bits
from ..outcome import REFUSED, expect, outcome


@functools.cache
def objects() -> list[Any]:
    isa = lstmfast.isa()
    layers = [made(place, dtype, isa) for place in range(len(OPTIONS)) for dtype in ("float32", "float64")]
    small = [
        made(place, "float32", isa).quantize(kind)
        for place in (0, 3, 8, 13)
        for kind in ("float16", "bfloat16", "int8")
    ]
    streamed = [each for each in layers + small if not each.bidirectional and each.direction == "forward"]
    streams: list[Any] = []
    for layer in streamed[::3]:
        pool = layer.stream_pool(4)
        ids = [pool.open() for _ in range(3)]
        pool.close(ids[1])
        stream = layer.stream(2)
        stream.step(np.ones((2, 2)))
        streams += [pool, stream, stream.snapshot()]
    return layers + small + streams


def again(function: Any, arguments: tuple[Any, ...], state: Any) -> Any:
    """What pickle does with them."""
    found = function(*arguments)
    if state is not None:
        found.__setstate__(state) if hasattr(found, "__setstate__") else found.__dict__.update(state)
    return found


def one(data: bytes) -> None:
    draw = Draw(data)
    original = draw.one_of(objects())
    function, arguments, *rest = original.__reduce_ex__(4)
    state = rest[0] if rest else None
    # What says of which class it is stays: an object of another class is none of ours.
    classes = [place for place, each in enumerate(arguments) if isinstance(each, type)]
    for _ in range(1 + draw.below(2)):
        if state is not None and (draw.flag() or len(arguments) == len(classes)):
            changed = other(draw, state)
            state = state if changed is None else changed  # None is no state to pickle
        elif len(arguments) > len(classes):
            place = draw.below(len(arguments))
            if place not in classes:
                parts = [*arguments]
                parts[place] = other(draw, parts[place])
                arguments = tuple(parts)
    found = outcome(lambda: again(function, arguments, state), MemoryError)  # of a stream of very many rows
    if found is not REFUSED:
        use(found)


def use(found: Any) -> None:
    """Whatever could be made works, and is made again."""
    if isinstance(found, lstmfast.StreamSnapshot):
        expect(found.nbytes >= 0 and repr(found), "a snapshot")
        return
    if isinstance(found, lstmfast.Stream):
        y = found.step(np.zeros((found.batch, found.model.input_size)))
        expect(len(y) == found.batch, "a step of a stream")
    elif isinstance(found, lstmfast.StreamPool):
        ids = found.ids
        y = found.step(ids, np.zeros((len(ids), found.model.input_size)))
        expect(len(y) == len(ids) == len(found) <= found.capacity, "a step of a pool")
        if len(found) < found.capacity:
            expect(found.open() not in ids, "a new stream's id is another's")
        found.close(found.ids)
        expect(len(found) == 0, "a pool that is closed")
    else:
        y, state = found(
            np.zeros((2, 1, found.input_size) if not found.batch_first else (1, 2, found.input_size))
        )
        function, arguments, *rest = found.__reduce_ex__(4)
        second = again(function, arguments, rest[0] if rest else None)
        y_again, state_again = second(
            np.zeros((2, 1, found.input_size) if not found.batch_first else (1, 2, found.input_size))
        )
        expect(same_bits(y, y_again) and same_bits(state, state_again), "a layer made again has other bits")
