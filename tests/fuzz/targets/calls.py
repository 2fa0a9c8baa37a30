"""Arguments of call, forward and backward: what the reference computes, or an error and no change."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..draw import Draw, laid, nearly, numbers
from ..layers import close, layer, parts, reference_of, same_bits
from ..outcome import REFUSED, expect, outcome

TAME = 100.0  # numbers that float32 holds with room for products


class Sizes:
    """Of a call, as it should be."""

    def __init__(self, draw: Draw, model: Any) -> None:
        self.model = model
        self.T, self.B = draw.below(6), draw.below(4)
        self.batched = draw.below(4) != 3
        if not self.batched:
            self.B = 1
        width = getattr(model, "proj_size", 0) or model.hidden_size
        self.D = 2 if model.bidirectional else 1
        depth = (model.num_layers * self.D,)
        self.widths = (width, model.hidden_size) if model._KIND.has_memory else (width,)
        self.axes = (
            (self.T,) if not self.batched else (self.B, self.T) if model.batch_first else (self.T, self.B)
        )
        rows = (self.B,) if self.batched else ()
        self.states = [(*depth, *rows, each) for each in self.widths]
        self.y = (*self.axes, self.D * width)

    def in_time_order(self, array: Any) -> Any:
        array = np.asarray(array)
        if not self.batched:
            return array[:, np.newaxis]
        return array.swapaxes(0, 1) if self.model.batch_first else array

    def back(self, array: Any) -> Any:
        if not self.batched:
            return array[:, 0]
        return array.swapaxes(0, 1) if self.model.batch_first else array


def state_of(draw: Draw, sizes: Sizes) -> Any:
    kind = draw.below(8)
    if kind == 7:
        return draw.value()
    halves = [None if draw.seldom() else nearly(draw, shape, sizes.model.dtype.str) for shape in sizes.states]
    return tuple(halves) if len(halves) > 1 else halves[0]


def arguments(draw: Draw, sizes: Sizes) -> dict[str, Any]:
    """What a call may bring besides x, each seldom."""
    given: dict[str, Any] = {}
    if draw.below(3) == 2:
        given["lengths"] = (
            draw.value()
            if draw.seldom()
            else [draw.below(sizes.T + 1 + draw.seldom()) for _ in range(sizes.B)]
        )
        if not sizes.batched and isinstance(given["lengths"], list) and given["lengths"]:
            given["lengths"] = given["lengths"][0]
    for name in ("reset", "mask"):
        if draw.below(3) == 2:
            bools = np.random.default_rng(draw.byte()).random(sizes.axes) < 0.5
            given[name] = draw.value() if draw.seldom() else laid(draw, bools)
    if draw.below(4) == 3:
        given["reset_to"] = state_of(draw, sizes)
    return given


def tame(value: Any, dtype: Any) -> bool:
    """Whether all are numbers that both sides make the same of: a float32 layer rounds what comes."""
    arrays = [np.asarray(each) for each in parts(value) if each is not None]
    return all(
        each.dtype.kind in "fiub" and bool((np.abs(each.astype("f8")) <= TAME).all()) for each in arrays
    )


def truth(sizes: Sizes, x: Any, state: Any, given: dict[str, Any]) -> Any:
    """y, the last state and the cache of the reference."""

    def halves(value: Any) -> list[Any]:
        found = [None, None] if value is None else [*parts(value), None][:2]
        return [each if each is None or sizes.batched else np.asarray(each)[:, np.newaxis] for each in found]

    lengths = given.get("lengths")
    return reference_of(sizes.model).forward(
        sizes.in_time_order(x),
        *halves(state),
        lengths=None if lengths is None else np.atleast_1d(np.asarray(lengths, np.int64)),
        reset=None if given.get("reset") is None else sizes.in_time_order(bools(given["reset"])),
        mask=None if given.get("mask") is None else sizes.in_time_order(bools(given["mask"])),
        reset_to=tuple(halves(shared(sizes, given["reset_to"])))
        if given.get("reset_to") is not None
        else (None, None),
    )


def bools(value: Any) -> Any:
    """To NumPy an empty list is one of floats."""
    return np.asarray(value) if np.size(value) else np.zeros(np.shape(value), bool)


def shared(sizes: Sizes, state: Any) -> Any:
    """What pieces begin from may be one row for all: for each row the same."""
    if not sizes.batched:
        return state
    depth = sizes.states[0][0]
    found = [
        None
        if half is None
        else np.broadcast_to(np.asarray(half).reshape(depth, -1, width), (depth, sizes.B, width))
        for half, width in zip(parts(state), sizes.widths, strict=True)
    ]
    return tuple(found) if len(found) > 1 else found[0]


def out_of(draw: Draw, sizes: Sizes) -> Any:
    """Where results go; the call may refuse it."""
    if draw.seldom():
        return draw.value()
    dtype = sizes.model.dtype.str
    made = [
        nearly(draw, shape, dtype) if draw.seldom() else np.full(shape, 7, dtype)
        for shape in (sizes.y, *sizes.states)
    ]
    return made[0], (tuple(made[1:]) if len(made) > 2 else made[1])


def is_same(a: bytes, value: Any) -> bool:
    return not isinstance(value, np.ndarray) or a == value.tobytes()


def one(data: bytes) -> None:
    draw = Draw(data)
    model = layer(draw)
    sizes = Sizes(draw, model)
    x = nearly(draw, (*sizes.axes, model.input_size), model.dtype.str)
    state = state_of(draw, sizes) if draw.flag() else None
    given = arguments(draw, sizes)
    before = [
        (each, each.tobytes()) for each in (x, *parts(state), *given.values()) if isinstance(each, np.ndarray)
    ]
    called = outcome(lambda: model(x, state, **given))
    run = outcome(lambda: model.forward(x, state, **given, seed=draw.byte()))
    expect(
        (called is REFUSED) == (run is REFUSED), "a call refuses what forward takes, or takes what it refuses"
    )
    into(draw, sizes, x, state, given, called)
    if called is not REFUSED:
        whole = isinstance(x, (np.ndarray, list)) and np.shape(x) == (*sizes.axes, model.input_size)
        if (
            whole
            and tame(x, model.dtype)
            and tame(state, model.dtype)
            and tame(given.get("reset_to"), model.dtype)
        ):
            results(draw, sizes, x, state, given, called, run)
        else:
            backward(draw, sizes, run)
    expect(all(each.tobytes() == was for each, was in before), "a call has changed an argument")


def into(draw: Draw, sizes: Sizes, x: Any, state: Any, given: dict[str, Any], called: Any) -> None:
    """The same call with `out`."""
    if draw.below(3) != 2:
        return
    out = out_of(draw, sizes)
    flat = (
        [each for each in (out[0], *parts(out[1])) if isinstance(each, np.ndarray)]
        if isinstance(out, tuple) and len(out) == 2
        else []
    )
    was = [each.tobytes() for each in flat]
    if out is None:
        return
    again = outcome(lambda: sizes.model(x, state, **given, out=out))
    if again is REFUSED:
        expect([each.tobytes() for each in flat] == was, "a call that is refused has written to out")
        return
    expect(called is not REFUSED, "a call that is refused otherwise is not with out")
    expect(again is out, "what is returned is out itself")
    expect(same_bits(again[0], called[0]) and same_bits(again[1], called[1]), "with out there are other bits")


def results(
    draw: Draw, sizes: Sizes, x: Any, state: Any, given: dict[str, Any], called: Any, run: Any
) -> None:
    model = sizes.model
    y, (h, c), cache = truth(sizes, x, state, given)
    dtype = model.dtype
    expect(close(called[0], sizes.back(y), dtype), f"y of {model!r} is not the reference's")
    for half, right in zip(parts(called[1]), (h, c), strict=False):
        expect(
            close(half, right if sizes.batched else right[:, 0], dtype),
            f"the state of {model!r} is not the reference's",
        )
    drawn = any(getattr(model, name, 0) for name in ("dropout", "zoneout", "recurrent_dropout"))
    if not drawn:
        expect(
            same_bits(run[0], called[0]) and same_bits(run[1], called[1]),
            "forward has other bits than a call",
        )
    dy = numbers(draw, sizes.y)
    found = backward(draw, sizes, run, dy)
    if drawn or found is REFUSED or not tame(dy, dtype) or dtype == np.float32:
        return
    dx, _, _, gradients = reference_of(model).backward(cache, sizes.in_time_order(dy))
    largest = max(1.0, *(float(np.abs(each).max(initial=0)) for each in gradients.values()))
    for name, right in (("x", sizes.back(dx)), *gradients.items()):
        got = found.x if name == "x" else found.parameters[name]
        expect(
            got.shape == right.shape and bool((np.abs(got - right) <= 1e-8 * largest).all()),
            f"d {name} of {model!r}",
        )


def backward(draw: Draw, sizes: Sizes, run: Any, dy: Any = None) -> Any:
    """The gradients, of a dy that is given or is anything."""
    if dy is not None:
        return sizes.model.backward(run[2], dy)
    dy = None if draw.seldom() else nearly(draw, run[0].shape, sizes.model.dtype.str)
    dstate = state_of(draw, sizes) if draw.flag() else None
    found = outcome(lambda: sizes.model.backward(run[2], dy, dstate))
    if found is not REFUSED:
        expect(list(found.parameters) == list(sizes.model.parameters), "a gradient of each parameter")
    return found
