"""The same bits whatever floating-point environment the caller's thread has; it has it again afterwards.

A host that flushes denormals to zero, say: a game engine, an audio plug-in, a library linked with
-ffast-math. What NumPy computes before and after is the host's own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lstmfast

from ...float_helpers import CAN_BE_SET, CONTROLS, control, host
from ...helpers import KINDS, assert_same_bits, make, random

pytestmark = [
    pytest.mark.skipif(not CAN_BE_SET, reason="where fenv_t is another"),
    pytest.mark.usefixtures("default_floats"),
]
CONTROL = pytest.mark.parametrize("given", CONTROLS.values(), ids=CONTROLS)

T, B, I, H = 5, 3, 6, 20


def tiny(model: Any, seed: int = 0) -> dict[str, Any]:
    """Weights of which many are denormal, or make denormals."""
    rng = np.random.default_rng(seed)
    least = np.finfo(model.dtype).tiny
    return {
        name: (rng.standard_normal(value.shape) * least * 4).astype(model.dtype)
        for name, value in model.parameters.items()
    }


def input_of(model: Any, rows: int = B) -> Any:
    return np.random.default_rng(1).standard_normal((T, rows, model.input_size)).astype(model.dtype)


def state_of(model: Any, rows: int = B) -> Any:
    half = np.full((1, rows, model.hidden_size), np.finfo(model.dtype).tiny / 2, model.dtype)
    return (half, half) if model._KIND.has_memory else half


def flat(results: Any) -> list[Any]:
    """All arrays of results, in their order."""
    if isinstance(results, np.ndarray):
        return [results]
    if isinstance(results, dict):
        results = list(results.values())
    return [] if results is None else [array for part in results for array in flat(part)]


def packed_and_called(model: Any) -> Any:
    weights, x, state = tiny(model), input_of(model), state_of(model)

    def run() -> Any:
        model.update(weights)
        return model(x, state)

    return run


def trained(model: Any) -> Any:
    model.update(tiny(model))
    x, state = input_of(model), state_of(model)
    dy = np.full((T, B, H), np.finfo(model.dtype).tiny / 8, model.dtype)

    def run() -> Any:
        y, state_n, tape = model.forward(x, state)
        grads = model.backward(tape, dy)
        return [y, *flat(state_n), grads.x, *flat(grads.parameters)]

    return run


def streamed(model: Any) -> Any:
    model.update(tiny(model))
    x, state = input_of(model), state_of(model)

    def run() -> Any:
        stream = model.stream(batch=B)
        stream.state = state
        return [stream.step(x[0]), stream.step(x[1]), stream.run(x[2:]), *flat(stream.state)]

    return run


def pooled(model: Any) -> Any:
    model.update(tiny(model))
    x = input_of(model)

    def run() -> Any:
        pool = model.stream_pool(capacity=B)
        ids = [pool.open() for _ in range(B)]
        return [pool.step(ids, frame) for frame in x]

    return run


def passes_apart(model: Any) -> Any:
    """A tape of one environment goes backward in the other: both ways, here first in this one."""
    model.update(tiny(model))
    x, state, here = input_of(model), state_of(model), control()
    dy = np.full((T, B, H), np.finfo(model.dtype).tiny / 8, model.dtype)

    def run() -> Any:
        there = control()
        with host(here):
            _, _, early = model.forward(x, state)
        late = model.forward(x, state)[2]
        results = [model.backward(early, dy)]
        with host(here):
            results.append(model.backward(late, dy))
        assert control() == there
        return [array for grads in results for array in (grads.x, *flat(grads.parameters))]

    return run


WORK: dict[str, Callable[[Any], Any]] = {
    "packed and called": packed_and_called,
    "trained": trained,
    "streamed": streamed,
    "pooled": pooled,
    "passes apart": passes_apart,
}


@CONTROL
@pytest.mark.parametrize("what", WORK)
def test_layers(kind: str, dtype: str, isa: str, what: str, given: int) -> None:
    run = WORK[what](make(kind, I, H, dtype=dtype, isa=isa))
    expected = flat(run())
    assert any(np.any((a != 0) & (np.abs(a) < np.finfo(dtype).tiny)) for a in expected)
    with host(given):
        found = flat(run())
    assert_same_bits(found, expected)


# What is between the products of cells of others' kinds, and numbers of theirs that float32 rounds.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "peepholes": ("LSTM", {"peephole": True, "clip": 0.3}),
    "coupled, projection": ("LSTM", {"coupled": True, "proj_size": 7}),
    "functions": (
        "LSTM",
        {"activations": (("HardSigmoid", 0.2, 0.5), ("Elu", 0.7), ("ScaledTanh", 0.9, 0.3))},
    ),
    "reset before": ("GRU", {"reset_after": False, "activations": ("Softplus", ("LeakyRelu", 0.1))}),
    "zoneout": ("RNN", {"zoneout": 0.3, "activations": (("Affine", 0.7, 0.1),)}),
    "layer norm": ("LayerNormLSTM", {}),
}


@CONTROL
@pytest.mark.parametrize("name", VARIANTS)
def test_variants(name: str, given: int) -> None:
    kind, options = VARIANTS[name]
    model = getattr(lstmfast, kind)(I, H, seed=0, **options)
    weights, x = dict(model.parameters), input_of(model)
    x[1:3] *= np.finfo(np.float32).tiny
    dy = random(model(x)[0].shape, seed=2)

    def run() -> Any:
        model.update(weights)
        y, state, tape = model.forward(x, seed=4)
        grads = model.backward(tape, dy)
        return [*flat(model(x)), y, *flat(state), grads.x, *flat(grads.parameters)]

    expected = run()
    with host(given):
        found = run()
    assert_same_bits(found, expected)


@CONTROL
@pytest.mark.parametrize("weight_dtype", ["float16", "bfloat16", "int8"])
def test_smaller_weights(kind: str, isa: str, weight_dtype: str, given: int) -> None:
    """Denormals of float16, too, which the scalar kernels widen by arithmetic of floats."""
    model = make(kind, I, H, isa=isa)
    model.update({name: value * np.float32(2.0**-14) for name, value in model.parameters.items()})
    q, x = model.quantize(weight_dtype), input_of(model)
    expected = flat(q(x))
    with host(given):
        found = flat(q(x))
    assert_same_bits(found, expected)


@CONTROL
@pytest.mark.usefixtures("threads")
def test_threads(given: int) -> None:
    """Whether the threads were made in a host's call or before it, and whoever calls next."""
    model = make("lstm", 64, 256)
    model.update(tiny(model))
    x, state = input_of(model, 16), state_of(model, 16)
    lstmfast.set_num_threads(1)
    expected = flat(model(x, state))
    for threads in (2, 4, 6):  # each time there are more to be made
        lstmfast.set_num_threads(threads)
        with host(given):
            assert_same_bits(flat(model(x, state)), expected)
        assert_same_bits(flat(model(x, state)), expected)


def test_each_thread_has_its_own() -> None:
    """One host's environment is not another's."""
    model = make("lstm", 8, 32)  # small: Intel's CPUs take a hundred times as long over denormals
    model.update(tiny(model))
    x, state = input_of(model, 16), state_of(model, 16)
    expected = flat(model(x, state))
    wrong: list[str] = []

    def work(given: int) -> None:
        try:
            with host(given):
                for _ in range(50):
                    assert_same_bits(flat(model(x, state)), expected)
                    assert control() == given
        except BaseException as error:  # what pytest would not see
            wrong.append(repr(error))

    threads = [threading.Thread(target=work, args=(given,)) for given in CONTROLS.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("kind", KINDS)
def test_after_an_error_too(kind: str) -> None:
    model = make(kind, I, H)
    for given in CONTROLS.values():
        with host(given), pytest.raises(ValueError, match="x: expected"):
            model(np.zeros((2, 3, I + 1)))
