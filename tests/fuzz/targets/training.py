"""Arguments of what trains: heads, losses, clipping, Adam. A right number, or an error and no change."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np

import lstmfast
from lstmfast import training

from ..changed import other
from ..draw import Draw, nearly, numbers
from ..layers import layer
from ..outcome import REFUSED, expect, outcome


def head(draw: Draw) -> None:
    """A dense head, its loss and its gradients."""
    activation = draw.one_of(("identity", "sigmoid", "softmax", "softmax", draw.text()))
    made = outcome(
        lambda: training.Dense(
            2, 3, activation, bias=draw.flag(), dtype=draw.one_of(("float32", "float64", "x")), seed=0
        )
    )
    if made is REFUSED:
        return
    axes = tuple(draw.below(4) for _ in range(draw.below(3)))
    x = nearly(draw, (*axes, 2), made.dtype.str)
    run = outcome(lambda: made.forward(x))
    expect((run is REFUSED) == (outcome(lambda: made(x)) is REFUSED), "forward and a call differ")
    if run is REFUSED:
        return
    p, tape = run
    with np.errstate(all="ignore"):
        one_hot = np.eye(3)[np.random.default_rng(draw.byte()).integers(0, 3, p.shape[:-1])]
    target = draw.one_of(
        (one_hot, one_hot.argmax(-1) if p.ndim > 1 else np.int64(1), nearly(draw, p.shape), draw.value())
    )
    cross = outcome(lambda: training.cross_entropy(tape, target))
    square = outcome(lambda: training.mean_squared_error(p, target))
    if square is not REFUSED:
        with np.errstate(all="ignore"):
            right = float(np.mean((p.astype("f8") - np.asarray(target).astype(p.dtype).astype("f8")) ** 2))
        expect(
            np.isclose(square[0], right, rtol=1e-5, equal_nan=True), f"a loss of {square[0]} and not {right}"
        )
    if cross is not REFUSED:
        with np.errstate(all="ignore"):
            expect(np.isnan(p).any() or cross[0] >= -1e-6 or np.isnan(cross[0]), f"a loss of {cross[0]}")
    for gradient in (cross, square):
        if gradient is not REFUSED:
            back = made.backward(tape, gradient[1])
            expect(back.x.shape == (*p.shape[:-1], 2), "dx of a head")


def mappings(draw: Draw, parameters: Any) -> Any:
    found: Any = {
        name: nearly(draw, array.shape, array.dtype.str)
        if draw.seldom()
        else numbers(draw, array.shape, array.dtype.str)
        for name, array in parameters.items()
    }
    return other(draw, found) if draw.seldom() else found


def clip(draw: Draw) -> None:
    given = [mappings(draw, layer(draw).parameters) for _ in range(draw.below(3))]
    limit = draw.real() if draw.below(4) else draw.value()
    found = outcome(lambda: training.clip_global_norm(*given, max_norm=limit))
    if found is REFUSED:
        return
    clipped, norm = found
    arrays = [np.asarray(array, "f8") for values in given for array in values.values()]
    with np.errstate(all="ignore"):
        right = float(np.sqrt(sum(float((array**2).sum()) for array in arrays)))
        if np.isfinite(right) and right > 1e-100:
            expect(np.isclose(norm, right, rtol=1e-5), f"a norm of {norm} and not {right}")
        after = np.sqrt(
            sum(
                float((np.asarray(array, "f8") ** 2).sum()) for values in clipped for array in values.values()
            )
        )
    expect(after <= limit * 1.001 or not np.isfinite(after), f"clipped to {after}, not {limit}")


def step(adam: training.Adam, gradients: Any) -> bool:
    adam.step(gradients)
    return True


def steps(draw: Draw) -> None:
    """Adam, against its formula."""
    original = layer(draw)
    model = copy.copy(original)
    rate = draw.one_of((1e-3, 0.0, 0.5, draw.real()))
    if 1e6 < rate < np.inf:
        rate = 1e6  # with more, weights are to be no numbers any more
    betas = draw.one_of(((0.9, 0.999), (0.0, 0.0), (draw.real(), draw.real()), draw.value()))
    adam = outcome(
        lambda: training.Adam(
            model, learning_rate=rate, betas=betas, eps=draw.one_of((1e-8, 1.0, draw.real()))
        )
    )
    if adam is REFUSED:
        return
    for _ in range(1 + draw.below(3)):
        before = dict(model.parameters)
        done = outcome(functools.partial(step, adam, mappings(draw, before)))
        if done is REFUSED:
            expect(
                all(model.parameters[name] is before[name] for name in before),
                "a step that is refused has changed weights",
            )
        else:
            expect(
                all(array.shape == before[name].shape for name, array in model.parameters.items()),
                "shapes after a step",
            )
            if rate <= 1:
                expect(
                    all(np.isfinite(array).all() for array in model.parameters.values()),
                    "weights are numbers after a step",
                )


def flow(draw: Draw) -> None:
    model = layer(draw)
    T = draw.below(5)
    x = nearly(draw, (T, 1, model.input_size), model.dtype.str)
    if model.batch_first and isinstance(x, np.ndarray) and x.ndim == 3:
        x = x.swapaxes(0, 1)
    other_one = (draw.value(), draw.value()) if draw.flag() else draw.value()
    given = draw.seldom()

    def loss(y: Any) -> Any:
        return other_one if given else (0.0, np.ones_like(y))

    found = outcome(lambda: lstmfast.gradient_flow(model, x, loss))
    if found is not REFUSED:
        expect(repr(found), "a gradient flow")


def one(data: bytes) -> None:
    draw = Draw(data)
    draw.one_of((head, clip, steps, flow))(draw)
