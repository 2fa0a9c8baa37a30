"""What the Python API promises of calls: shapes, states, lengths and resets."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from ..helpers import (
    KINDS,
    assert_same_bits,
    everything,
    has_memory,
    make,
    parts,
    random,
    random_state,
    random_x,
)
from .helpers import layouts, recorded

# Calls.


def shapes(batch_first: bool, layout: dict[str, Any]) -> list[tuple[tuple[int, ...], ...]]:
    """Shapes of x, y, h, c, lengths and reset, batched and not; 6 steps, 4 rows, 3 inputs, 5 units."""
    T, B, H = 6, 4, 5
    P = layout.get("proj_size", H)
    D = 2 if layout["bidirectional"] else 1
    depth = layout["num_layers"] * D
    batch = (B, T) if batch_first else (T, B)
    return [
        ((*batch, 3), (*batch, D * P), (depth, B, P), (depth, B, H), (B,), batch),
        ((T, 3), (T, D * P), (depth, P), (depth, H), (), (T,)),
    ]


@pytest.mark.parametrize(
    ("kind", "layout"),
    [
        *((kind, layout) for kind in KINDS for layout in layouts()),
        *(("lstm", {"proj_size": 2, **layout}) for layout in layouts()),
    ],
)
@pytest.mark.parametrize("cut", [False, True])
def test_shapes(kind: str, dtype: str, layout: dict[str, Any], cut: bool) -> None:
    for batch_first in (False, True):
        model = make(kind, 3, 5, dtype=dtype, batch_first=batch_first, dropout=0.5, **layout)
        for x_shape, y_shape, h_shape, c_shape, l_shape, r_shape in shapes(batch_first, layout):
            x = random(x_shape, dtype)
            options: dict[str, Any] = {}
            if cut:
                options = {"lengths": np.full(l_shape, 5), "reset": np.ones(r_shape, bool)}
            y, state = model(x, **options)
            y2, state2, tape = model.forward(x, state, recompute=cut, **options)
            grads = model.backward(tape, y2, state)
            assert y.shape == y2.shape == y_shape
            assert grads.x.shape == x_shape
            assert isinstance(state, tuple) == isinstance(grads.state, tuple) == has_memory(kind)
            for result in (state, state2, grads.state):
                assert [a.shape for a in parts(result)] == [h_shape, c_shape][: len(parts(result))]
            arrays = [*parts(state), *parts(state2), *parts(grads.state)]
            out = (np.empty_like(y), copy.deepcopy(state))
            assert model(x, **options, out=out) is out
            assert_same_bits(out, (y, state))
            arrays += [y, y2, grads.x, *grads.parameters.values()]
            assert {array.dtype for array in arrays} == {np.dtype(dtype)}
            assert {type(array) for array in arrays} == {np.ndarray}
            assert [(name, array.shape) for name, array in grads.parameters.items()] == [
                (name, array.shape) for name, array in model.parameters.items()
            ]


def test_batch_first_is_a_transposition(kind: str, dtype: str, isa: str) -> None:
    options: dict[str, Any] = {"dtype": dtype, "isa": isa, "num_layers": 2, "bidirectional": True}
    time_first, batch_first = (make(kind, 3, 5, batch_first=flag, **options) for flag in (False, True))
    x, state = random_x(time_first, 6, 4), random_state(time_first, 4)
    dy, dstate = random((6, 4, 10), dtype, seed=5), random_state(time_first, 4, seed=6)
    expected = everything(time_first, x, state, dy, dstate)
    for layout in (np.ascontiguousarray, lambda array: array):  # a copy, and a view with other strides
        flipped = [layout(array.swapaxes(0, 1)) for array in (x, dy)]
        actual = everything(batch_first, flipped[0], state, flipped[1], dstate)
        for name in ("called", "y", "dx"):
            actual[name] = actual[name].swapaxes(0, 1)
        assert_same_bits(actual, expected)


@pytest.mark.parametrize("batch_first", [False, True])
def test_unbatched_is_a_batch_of_one(kind: str, dtype: str, isa: str, batch_first: bool) -> None:
    model = make(kind, 3, 5, dtype=dtype, isa=isa, num_layers=2, bidirectional=True, batch_first=batch_first)
    axis = 0 if batch_first else 1
    x, state = random_x(model, 6, 1), random_state(model, 1)
    dy, dstate = random((*x.shape[:2], 10), dtype, seed=5), random_state(model, 1, seed=6)
    expected = everything(model, x, state, dy, dstate)
    for name, array in expected.items():
        if name in ("called", "y", "dx"):
            expected[name] = array.squeeze(axis)
        elif "state" in name:
            expected[name] = array.squeeze(1)

    def one(state: Any) -> Any:
        return tuple(s.squeeze(1) for s in state) if isinstance(state, tuple) else state.squeeze(1)

    assert_same_bits(everything(model, x.squeeze(axis), one(state), dy.squeeze(axis), one(dstate)), expected)


def test_no_state_is_zero(kind: str, isa: str) -> None:
    model = make(kind, 3, 5, isa=isa)
    x = random_x(model, 6, 4)
    zero = np.zeros((1, 4, 5), "float32")
    states: list[Any] = [zero]
    if has_memory(kind):
        states = [(zero, zero), (None, zero), (zero, None), (None, None), [zero, zero]]
    for state in states:
        assert_same_bits(everything(model, x, state), everything(model, x))


def test_no_gradient_is_zero(kind: str, isa: str) -> None:
    model = make(kind, 3, 5, isa=isa)
    x, state = random_x(model, 6, 4), random_state(model, 4)
    y, _, tape = model.forward(x, state)
    dh = random((1, 4, 5), seed=5)
    zero = np.zeros_like(dh)

    def gradients(dy: Any, dstate: Any) -> list[Any]:
        grads = model.backward(tape, dy, dstate)
        return [grads.x, *parts(grads.state), *grads.parameters.values()]

    assert not any(array.any() for array in gradients(None, None))
    if has_memory(kind):
        pairs: list[Any] = [((dh, None), (dh, zero)), ((None, dh), (zero, dh)), ((None, None), None)]
    else:
        pairs = [(None, zero)]
    for short, full in pairs:
        assert_same_bits(gradients(None, short), gradients(np.zeros_like(y), full))
        assert_same_bits(gradients(y, short), gradients(y, full))


def test_state_continues_a_sequence(kind: str, dtype: str, isa: str) -> None:
    model = make(kind, 3, 5, dtype=dtype, isa=isa, num_layers=2)
    x = random_x(model, 9, 4)
    whole, end = model(x)
    state = None
    for start, stop in ((0, 1), (1, 5), (5, 9)):
        y, state = model(x[start:stop], state)
        assert_same_bits(y, whole[start:stop])
    assert_same_bits(state, end)


def test_no_steps_and_no_rows(kind: str, isa: str) -> None:
    model = make(kind, 3, 5, isa=isa, num_layers=2, bidirectional=True)
    for T, B in ((0, 4), (6, 0), (0, 0)):
        x, state = random_x(model, T, B), random_state(model, B)
        y, end, tape = model.forward(x, state)
        grads = model.backward(tape, y, end)
        assert y.shape == (T, B, 10)
        assert grads.x.shape == (T, B, 3)
        if T == 0:  # the state stays what it was, and so does its gradient
            assert_same_bits(end, state)
            assert_same_bits(grads.state, state)
        assert not any(array.any() for array in grads.parameters.values())
        assert_same_bits(model(x, state), (y, end))


def test_nan_and_infinity_flow(kind: str, isa: str) -> None:
    model = make(kind, 3, 5, isa=isa)
    x = random_x(model, 6, 4)
    clean = model(x)[0]
    x[2, 1, 0] = np.nan
    y = model(x)[0]
    assert np.isnan(y[2:, 1]).all()
    assert_same_bits(np.delete(y, 1, axis=1), np.delete(clean, 1, axis=1))
    assert_same_bits(y[:2], clean[:2])
    x[2, 1, 0] = np.inf
    y = model(x)[0]
    if kind == "rnn_relu":
        assert not np.isfinite(y[2, 1]).all()
    elif kind == "rnn_tanh":
        assert (np.abs(y[2, 1]) == 1).all()
    else:
        assert np.isfinite(y[2, 1]).all()


def test_results_are_the_callers(kind: str) -> None:
    model = make(kind, 3, 5)
    x = random_x(model, 6, 4)
    y, state = model(x)
    kept = y.copy(), [part.copy() for part in parts(state)]
    for array in (y, *parts(state)):
        array[...] = 7
    y, state = model(x)
    assert_same_bits((y, parts(state)), kept)


# Lengths and resets: how they are given. What comes of them is compared elsewhere.


def test_lengths_of_any_integer_type(kind: str) -> None:
    model = make(kind, 3, 5, bidirectional=True)
    x = random_x(model, 6, 3)
    expected = model(x, lengths=[6, 0, 4])
    given: list[Any] = [np.array([6, 0, 4], dtype) for dtype in ("i1", "u1", ">i2", "u4", "i8", "u8")]
    given += [(6, 0, 4), [np.int8(6), 0, np.uint8(4)], np.array([6, 9, 0, 9, 4])[::2]]
    for lengths in given:
        assert_same_bits(model(x, lengths=lengths), expected)
        assert_same_bits(model.forward(x, lengths=lengths)[:2], expected)
    for length in (4, np.uint8(4), np.array(4), np.int64(4)):
        assert_same_bits(model(x[:, 2], lengths=length)[0], expected[0][:, 2])


def test_lengths_and_resets_from_torch(kind: str, torch: Any) -> None:
    model = make(kind, 3, 5)
    x, reset = random_x(model, 6, 3), np.eye(6, 3, -2, bool)
    expected = model(x, lengths=[6, 0, 4], reset=reset)
    assert_same_bits(model(x, lengths=torch.tensor([6, 0, 4]), reset=torch.from_numpy(reset)), expected)


def test_no_rows_have_no_lengths(kind: str) -> None:
    model = make(kind, 3, 5)
    x = random_x(model, 6, 0)
    given: list[Any] = [[], (), np.zeros(0, "uint8")]
    for lengths in given:
        assert_same_bits(model(x, lengths=lengths), model(x))


def test_what_cuts_nothing_is_not_handed_on(kind: str) -> None:
    """The core is faster without, and its results are the same."""
    for batch_first in (False, True):
        model = make(kind, 3, 5, batch_first=batch_first)
        recorder = recorded(model)
        x = random_x(model, 6, 4)
        nothing = np.zeros(x.shape[:2], bool)
        for call in (model, model.forward):
            call(x, lengths=[6] * 4, reset=nothing)
            assert recorder.seen[:2] == (None, None)
            call(x[:, 0] if not batch_first else x[0], lengths=6, reset=[False] * 6)
            assert recorder.seen[:2] == (None, None)
            call(x, lengths=[6, 6, 6, 5], reset=nothing)
            assert recorder.seen[1] is None
            call(x, lengths=[6] * 4, reset=~nothing)
            assert recorder.seen[0] is None


def test_the_core_is_given_resets_in_time_order(kind: str) -> None:
    reset = np.random.default_rng(0).random((6, 4)) < 0.3
    odd = (reset * np.uint8(2)).view(bool)  # a bool that is no 0 or 1 in memory
    for batch_first in (False, True):
        model = make(kind, 3, 5, batch_first=batch_first)
        recorder = recorded(model)
        x = random_x(model, 6, 4)
        for given in (reset, odd, np.asfortranarray(reset), reset.tolist(), np.repeat(reset, 2, 1)[:, ::2]):
            model(x, reset=np.swapaxes(given, 0, 1) if batch_first else given)
            assert_same_bits(recorder.seen[1].view("uint8"), reset.view("uint8"))
            assert recorder.seen[1].flags.c_contiguous
        model(random((6, 3)), reset=reset[:, 0])
        assert_same_bits(recorder.seen[1].view("uint8"), reset[:, :1].view("uint8"))


def test_lengths_and_resets_may_change_after_the_call(kind: str) -> None:
    for batch_first in (False, True):
        model = make(kind, 3, 5, num_layers=2, bidirectional=True, batch_first=batch_first)
        x = random_x(model, 6, 4)
        dy = random((*x.shape[:2], 10), seed=5)
        lengths = np.array([6, 0, 2, 5])
        reset = np.zeros(x.shape[:2], bool)
        reset[2, 3] = True
        expected = model.backward(model.forward(x, lengths=lengths, reset=reset)[2], dy)
        tape = model.forward(x, lengths=lengths, reset=reset)[2]
        lengths[:] = 10**9
        reset[:] = True
        actual = model.backward(tape, dy)
        assert_same_bits(actual.x, expected.x)
        assert_same_bits(actual.parameters, expected.parameters)
