"""Calls of models with smaller weights: those of 16 bits give the bits of their float32 form."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..core_helpers import in_every_form
from ..helpers import CELLS, Array, assert_same_bits, has_memory, make, random, random_state, random_x
from ..pieces import NETWORKS, SHAPES, Shape, random_lengths, random_reset
from .helpers import WEIGHT_DTYPES, calls, every_cell, every_half, every_weight_dtype, in_both_orders, trained

# Calls of 16-bit weights: those of the float32 model that has the rounded weights.


@every_half
@every_cell
@pytest.mark.parametrize(("num_layers", "bidirectional"), NETWORKS)
def test_same_bits_as_float32(
    kind: str, proj_size: int, weight_dtype: str, num_layers: int, bidirectional: bool, isa: str
) -> None:
    for model in in_both_orders(kind, proj_size, num_layers, bidirectional, isa):
        q = model.quantize(weight_dtype)
        back = q.dequantize()
        assert (q.isa, back.isa) == (isa, isa)
        for n, arguments in enumerate(calls(model, 7, 5)):
            assert_same_bits(q(**arguments), back(**arguments), f"call {n}: ")


@pytest.mark.usefixtures("threads")
@every_half
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_same_bits_on_threads(weight_dtype: str, shape: Shape) -> None:
    model = shape.model("float32")
    q = model.quantize(weight_dtype)
    back = q.dequantize()
    x, state = random_x(model, shape.T, shape.B), random_state(model, shape.B)
    cut = {"lengths": random_lengths(shape.T, shape.B), "reset": random_reset(shape.T, shape.B)}
    lstmfast.set_num_threads(1)
    plain, timed = back(x, state), back(x, state, **cut)
    for threads in (1, 2, 3, 5):
        lstmfast.set_num_threads(threads)
        for _ in range(2):  # a short call is shared only if one came just before
            assert_same_bits(q(x, state), plain, f"{threads} threads: ")
            assert_same_bits(q(x, state, **cut), timed, f"{threads} threads, cut: ")


@every_half
@pytest.mark.parametrize(
    ("I", "H"), [(1, 1), (1, 2), (2, 3), (7, 15), (16, 16), (17, 31), (33, 65), (130, 67)]
)
def test_same_bits_of_any_size(kind: str, weight_dtype: str, I: int, H: int, isa: str) -> None:
    model = trained(kind, I, H, isa=isa)
    q = model.quantize(weight_dtype)
    back = q.dequantize()
    for B in (1, 2, 5, 13, 27):
        x, state = random_x(model, 3, B), random_state(model, B)
        assert_same_bits(q(x, state), back(x, state), f"{B} rows: ")


@every_half
def test_same_bits_of_nan_and_infinity(kind: str, weight_dtype: str, isa: str) -> None:
    model = trained(kind, 3, 9, num_layers=2, isa=isa)
    q = model.quantize(weight_dtype)
    x = random_x(model, 6, 4)
    x[2, 0, 1], x[3, 1, 2], x[1, 2] = np.nan, np.inf, -np.inf
    y, state = q(x)
    assert_same_bits((y, state), q.dequantize()(x))
    assert np.isnan(y[2:, 0]).all()
    assert np.isfinite(y[:, 3]).all()


def test_same_bits_of_large_weights() -> None:
    """More than 16 MB of them: panels are prefetched."""
    model = make("rnn_tanh", 2600, 1900)
    for weight_dtype in ("float16", "bfloat16"):
        q = model.quantize(weight_dtype)
        back = q.dequantize()
        for B in (1, 8):
            x = random_x(model, 3, B)
            assert_same_bits(q(x), back(x))


# Calls of any kind of weights.


@every_weight_dtype
@every_cell
def test_unbatched(kind: str, proj_size: int, weight_dtype: str) -> None:
    """It is a batch of one row."""
    for batch_first in (False, True):
        model = make(kind, 3, 7, num_layers=2, proj_size=proj_size, batch_first=batch_first)
        q = model.quantize(weight_dtype)
        x = random((6, 3))
        axis = 0 if batch_first else 1
        y, state = q(x)
        whole, end = q(np.expand_dims(x, axis))
        assert_same_bits(y, whole.squeeze(axis))
        assert_same_bits(state, copy_of(end, lambda half: half[:, 0].copy()))
        assert_same_bits(q(x, state), q(x, tuple(state) if has_memory(kind) else state))


def copy_of(state: Any, change: Any) -> Any:
    """A state with both halves changed alike."""
    return tuple(map(change, state)) if isinstance(state, tuple) else change(state)


@every_weight_dtype
@every_cell
def test_batch_first(kind: str, proj_size: int, weight_dtype: str) -> None:
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "proj_size": proj_size}
    first, second = (make(kind, 3, 7, batch_first=flag, **options) for flag in (False, True))
    x, state = random_x(first, 6, 4), random_state(first, 4)
    lengths, reset = random_lengths(6, 4), random_reset(6, 4)
    y, end = first.quantize(weight_dtype)(x, state, lengths=lengths, reset=reset)
    swapped = second.quantize(weight_dtype)(x.swapaxes(0, 1), state, lengths=lengths, reset=reset.T)
    assert_same_bits(swapped, (np.ascontiguousarray(y.swapaxes(0, 1)), end))


@every_weight_dtype
@every_cell
def test_out(kind: str, proj_size: int, weight_dtype: str) -> None:
    for batch_first in (False, True):
        options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "batch_first": batch_first}
        model = make(kind, 3, 7, proj_size=proj_size, **options)
        q = model.quantize(weight_dtype)
        x, state = random_x(model, 6, 4), random_state(model, 4)
        expected = q(x, state)
        out = (np.full_like(expected[0], np.nan), state)
        assert q(x, state, out=out) is out  # the new state replaces the old
        assert_same_bits(out, expected)
        timed = q(x, expected[1], lengths=[6, 0, 3, 2])
        written = (np.full_like(timed[0], np.nan), copy_of(expected[1], np.copy))
        assert q(x, expected[1], lengths=[6, 0, 3, 2], out=written) is written
        assert_same_bits(written, timed)


@every_weight_dtype
def test_a_state_may_be_half(weight_dtype: str) -> None:
    model = make("lstm", 3, 7, num_layers=2)
    q = model.quantize(weight_dtype)
    x, (h, c) = random_x(model, 4, 2), random_state(model, 2)
    assert_same_bits(q(x, (h, None)), q(x, (h, np.zeros_like(c))))
    assert_same_bits(q(x, (None, c)), q(x, (np.zeros_like(h), c)))
    assert_same_bits(q(x, None), q(x, (np.zeros_like(h), np.zeros_like(c))))


@every_weight_dtype
def test_any_real_input(weight_dtype: str) -> None:
    q = make("lstm", 4, 6).quantize(weight_dtype)
    x = np.arange(24).reshape(2, 3, 4) - 9  # T=2, B=3
    inputs = in_every_form(x, "float32")
    expected = q(x.astype("float32"))
    for name, given in inputs.items():
        assert_same_bits(q(given), expected, name)


@every_weight_dtype
def test_of_a_float64_model(weight_dtype: str) -> None:
    """Arrays are converted, as by every float32 model."""
    model = trained("lstm", 3, 7, dtype="float64", num_layers=2)
    q = model.quantize(weight_dtype)
    x, state = random_x(model, 5, 3), random_state(model, 3)
    assert x.dtype == np.float64
    y, (h, c) = q(x, state)
    assert {array.dtype for array in (y, h, c)} == {np.dtype("float32")}
    small = (x.astype(np.float32), copy_of(state, np.float32))
    assert_same_bits((y, (h, c)), q(*small))
    if weight_dtype != "int8":
        assert_same_bits((y, (h, c)), q.dequantize()(x, state))


@pytest.mark.usefixtures("threads")
@every_weight_dtype
@pytest.mark.parametrize("allowed", [1, 2])
def test_many_threads_on_one_object(weight_dtype: str, allowed: int) -> None:
    model = trained("lstm", 16, 64, num_layers=2, bidirectional=True)
    q = model.quantize(weight_dtype)
    inputs = [random((12, B, 16), seed=B) for B in (1, 5, 13)]
    lstmfast.set_num_threads(1)
    expected = [q(x) for x in inputs]
    lstmfast.set_num_threads(allowed)

    def work(_: int) -> None:
        for _ in range(10):
            for x, wanted in zip(inputs, expected, strict=True):
                assert_same_bits(q(x), wanted)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))


@every_weight_dtype
def test_no_steps_and_no_rows(kind: str, weight_dtype: str) -> None:
    model = make(kind, 3, 5, num_layers=2)
    q = model.quantize(weight_dtype)
    state = random_state(model, 2)
    y, end = q(np.zeros((0, 2, 3), np.float32), state)
    assert y.shape == (0, 2, 5)
    assert_same_bits(end, state)
    y, end = q(np.zeros((4, 0, 3), np.float32))
    assert y.shape == (4, 0, 5)


WRONG: list[tuple[Any, dict[str, Any]]] = [
    (np.zeros((4, 2, 2)), {}),
    (np.zeros(3), {}),
    ("x", {}),
    (None, {}),
    (np.zeros((4, 2, 3), complex), {}),
    (np.zeros((4, 2, 3)), {"state": 3}),
    (np.zeros((4, 2, 3)), {"state": (np.zeros((1, 2, 4)), None)}),
    (np.zeros((4, 2, 3)), {"lengths": [5, 1]}),
    (np.zeros((4, 2, 3)), {"lengths": [1]}),
    (np.zeros((4, 2, 3)), {"reset": np.zeros((4, 2))}),
    (np.zeros((4, 2, 3)), {"reset": np.zeros((2, 2), bool)}),
    (np.zeros((4, 2, 3)), {"out": 3}),
    (np.zeros((4, 2, 3)), {"out": (np.zeros((4, 2, 5)), (np.zeros((1, 2, 5)), np.zeros((1, 2, 5))))}),
    (np.zeros((4, 2, 3)), {"weights": 3}),
]


@every_weight_dtype
@pytest.mark.parametrize(("x", "arguments"), WRONG)
def test_mistakes_are_told_as_by_the_float32_model(x: Any, arguments: Any, weight_dtype: str) -> None:
    q = make("lstm", 3, 5).quantize(weight_dtype)
    told = []
    for model in (q, q.dequantize()):
        with pytest.raises((TypeError, ValueError)) as caught:
            model(x, **arguments)
        told.append((caught.type, str(caught.value)))
    if "weights" in arguments:  # in which Python names the function
        assert told[0][0] is told[1][0] is TypeError
    else:
        assert told[0] == told[1]


def test_every_cell_has_its_own_results() -> None:
    """None of the comparisons above is of zeros, or of a kind with itself."""
    seen: list[Array] = []
    for kind, proj_size in CELLS:
        model = trained(kind, 3, 7, proj_size=proj_size)
        x = random_x(model, 6, 2)
        for weight_dtype in WEIGHT_DTYPES:
            y = model.quantize(weight_dtype)(x)[0]
            assert np.isfinite(y).all()
            assert np.count_nonzero(y) > y.size // 4
            assert not any(y.shape == other.shape and (y == other).all() for other in [*seen, model(x)[0]])
            seen.append(y)


def test_no_weight_is_less_than_minus_127_to_the_core() -> None:
    """-128 has no magnitude in 8 bits: it is taken for -127 on every instruction set."""
    scales = np.ones(4, np.float32)
    for isa in lstmfast.available_isas():
        weights = np.full((4, 4), -128, np.int8)
        given: list[Any] = [weights, scales, weights, scales]
        network = lstmfast._core.small_network("rnn_relu", 4, 4, 1, False, False, "int8", given, isa)
        y = network.infer(np.full((1, 1, 4), -1, np.float32), None, None, False)[0]
        np.testing.assert_allclose(y, 4 * 127, rtol=1e-6)
