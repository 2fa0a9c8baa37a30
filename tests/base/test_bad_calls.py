"""Every bad argument of a call gets an error that names it, what was expected and what came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ..helpers import KINDS, assert_same_bits, has_memory
from .helpers import HUGE, NOT_NUMBERS, Case, Refuses, raises

# Calls. Each takes (model, what is right, what is wrong) and must change neither.


@pytest.mark.parametrize(("value", "got"), NOT_NUMBERS)
def test_x_that_is_no_array_of_numbers(case: Case, value: Any, got: str) -> None:
    for call in case.calls():
        with pytest.raises(TypeError) as caught:
            call(value)
        assert str(caught.value).startswith("x: expected an array of real numbers, got ")
        assert got in str(caught.value)


def test_x_for_which_there_is_no_memory(case: Case) -> None:
    class Large:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise MemoryError("too large")

    for call in case.calls():
        with pytest.raises(MemoryError, match="too large"):
            call(Large())


def test_x_with_rows_of_different_lengths(case: Case) -> None:
    for call in case.calls():
        with raises(ValueError, "x: expected an array of real numbers, got a list of length 2: "):
            call([[1.0, 2.0, 3.0], [1.0, 2.0]])


@pytest.mark.parametrize(
    "shape", [(), (3,), (4, 2), (4, 2, 2), (4, 2, 4), (3, 2, 4), (1, 4, 2, 3), (4, 2, 0), (0,), (4, 3, 1)]
)
def test_shape_of_x(case: Case, shape: tuple[int, ...]) -> None:
    message = f"x: expected shape [T, B, 3] or, unbatched, [T, 3] (the last is input_size), got {shape}"
    for dtype in ("float32", "int8"):
        for call in case.calls():
            with raises(ValueError, message):
                call(np.zeros(shape, dtype))


def test_shape_of_x_with_batch_first() -> None:
    case = Case("lstm", batch_first=True)
    message = "x: expected shape [B, T, 3] or, unbatched, [T, 3] (the last is input_size), got (2, 4, 4)"
    with raises(ValueError, message):
        case.model(np.zeros((2, 4, 4), "float32"))
    case.check()


def test_x_larger_than_memory_could_be(case: Case) -> None:
    # The first is too large once it is float32, the second has a result that is.
    for dtype, shape in (("int8", (2**40, 2**20, 3)), ("float32", (2**59, 3))):
        x = np.broadcast_to(np.zeros((), dtype), shape)
        for call in case.calls():
            with raises(ValueError, f"x: shape {shape} makes a result larger than the address space"):
                call(x)


def test_x_without_numbers_but_larger_than_memory_could_be(case: Case) -> None:
    # NumPy's own message for the result would not name x.
    for dtype, shape in (
        ("int8", (2**60, 0, 3)),
        ("int8", (0, 2**60, 3)),
        ("float32", (2**59, 0, 3)),
        ("float32", (0, 2**59, 3)),
    ):
        x = np.broadcast_to(np.zeros((), dtype), shape)
        for call in case.calls():
            with raises(ValueError, f"x: shape {shape} makes a result larger than the address space"):
                call(x)


def test_x_larger_than_this_machines_memory(case: Case) -> None:
    x = np.broadcast_to(np.float32(0), (2**30, 2**20, 3))
    for call in case.calls():
        with pytest.raises(MemoryError):
            call(x)


def wrong_parts(shape: tuple[int, ...]) -> list[tuple[Any, type[Exception], str]]:
    """What is no half of a state of this shape: value, error, end of the message."""
    wrong: list[tuple[Any, type[Exception], str]] = [
        (np.zeros(bad, "float32"), ValueError, f"got {bad}")
        for bad in (
            (),
            shape[1:],
            (*shape, 1),
            (1, *shape),
            (shape[0] + 1, *shape[1:]),
            (*shape[:-1], 7),
            shape[::-1],
        )
    ]
    return wrong + [
        (value, TypeError, got)
        for value, got in NOT_NUMBERS
        if value is not None and not isinstance(value, np.ndarray)
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batched", [True, False])
def test_parts_of_states(kind: str, batched: bool) -> None:
    case = Case(kind)
    shape, symbols = ((2, 2, 5), "[L*D, B, H]") if batched else ((2, 5), "[L*D, H]")
    right, x = np.zeros(shape, "float32"), case.x if batched else case.x[:, 0]
    y, _, tape = case.model.forward(x)
    for argument, names in (("state", ("h_0", "c_0")), ("dstate", ("dh_n", "dc_n"))):
        for place, name in enumerate(names[: 2 if has_memory(kind) else 1]):
            for bad, error, got in wrong_parts(shape):
                state: Any = bad if not has_memory(kind) else (bad, right) if place == 0 else (right, bad)
                calls: list[Callable[[Any], Any]] = (
                    [lambda s: case.model(x, s), lambda s: case.model.forward(x, s)]
                    if argument == "state"
                    else [
                        lambda s: case.model.backward(tape, y, s),
                        lambda s: case.model.backward(tape, None, s),
                    ]
                )
                for call in calls:
                    with pytest.raises(error) as caught:
                        call(state)
                    expected = (
                        f"expected shape {shape} {symbols}, " if error is ValueError else "expected an array"
                    )
                    assert str(caught.value).startswith(f"{argument}: {name}: {expected}")
                    assert got in str(caught.value)
    case.check()


@pytest.mark.parametrize(
    ("value", "error", "got"),
    [
        (np.zeros((2, 2, 5)), TypeError, "an array of shape (2, 2, 5) and dtype float64"),
        (np.zeros((2, 2, 2, 5)), TypeError, "an array of shape (2, 2, 2, 5) and dtype float64"),
        ({"h": 1, "c": 2}, TypeError, "a dict of length 2"),
        ("hc", TypeError, "'hc' (str)"),
        (0, TypeError, "0 (int)"),
        (iter([1, 2]), TypeError, "an object of type list_iterator"),
        ((), ValueError, "a tuple of length 0"),
        ((np.zeros((2, 2, 5)),), ValueError, "a tuple of length 1"),
        ((np.zeros((2, 2, 5)),) * 3, ValueError, "a tuple of length 3"),
        ([np.zeros((2, 2, 5))] * 3, ValueError, "a list of length 3"),
    ],
)
def test_state_of_an_lstm_is_a_pair(value: Any, error: type[Exception], got: str) -> None:
    case = Case("lstm")
    for call in case.calls():
        with raises(error, f"state: expected a pair (h_0, c_0), got {got}"):
            call(case.x, value)
    with raises(error, f"dstate: expected a pair (dh_n, dc_n), got {got}"):
        case.model.backward(case.tape, case.dy, value)
    case.check()


@pytest.mark.parametrize("kind", ["rnn_tanh", "rnn_relu"])
def test_state_of_an_rnn_is_one_array(kind: str) -> None:
    case = Case(kind)
    pair = (case.state, case.state)
    for call in case.calls():
        with raises(TypeError, "state: expected one array h_0, got a tuple of length 2"):
            call(case.x, pair)
    with raises(TypeError, "dstate: expected one array dh_n, got a tuple of length 2"):
        case.model.backward(case.tape, case.dy, pair)
    case.check()


def test_state_of_another_batch_or_layout(case: Case) -> None:
    for call in case.calls():
        with raises(ValueError, "state: h_0: expected shape (2, 1, 5) [L*D, B, H], got (2, 2, 5)"):
            call(case.x[:, :1], case.state)
        with raises(ValueError, "state: h_0: expected shape (2, 5) [L*D, H], got (2, 2, 5)"):
            call(case.x[:, 0], case.state)


def test_states_of_a_projected_lstm() -> None:
    """h is P wide, c is H wide, and a message says which."""
    case = Case("lstm", proj_size=3)
    h, c = case.state
    wrong = [
        ((c, c), "h", "expected shape (2, 2, 3) [L*D, B, P], got (2, 2, 5)"),
        ((h, h), "c", "expected shape (2, 2, 5) [L*D, B, H], got (2, 2, 3)"),
    ]
    for state, half, message in wrong:
        for call in case.calls():
            with raises(ValueError, f"state: {half}_0: {message}"):
                call(case.x, state)
        with raises(ValueError, f"dstate: d{half}_n: {message}"):
            case.model.backward(case.tape, case.dy, state)
    with raises(ValueError, "state: h_0: expected shape (2, 3) [L*D, P], got (2, 5)"):
        case.model(case.x[:, 0], (c[:, 0], c[:, 0]))
    case.check()


def test_out_of_a_projected_lstm() -> None:
    case = Case("lstm", proj_size=3)
    y, (h, c) = case.model(case.x)
    wide = np.full((4, 2, 5), np.nan, "float32")
    with raises(ValueError, "out: y: expected shape (4, 2, 3) [T, B, D*P], got (4, 2, 5)"):
        case.model(case.x, out=(wide, (h, c)))
    with raises(ValueError, "out: h_n: expected shape (2, 2, 3) [L*D, B, P], got (2, 2, 5)"):
        case.model(case.x, out=(y, (c.copy(), c)))
    with raises(ValueError, "out: c_n: expected shape (2, 2, 5) [L*D, B, H], got (2, 2, 3)"):
        case.model(case.x, out=(y, (h, h.copy())))
    assert np.isnan(wide).all()
    case.check()


# Lengths and resets.

INTEGERS = "expected an array of integers [B], got "


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([4, 5], ValueError, "expected integers from 0 to 4 (x's time steps), got 5 at [1]"),
        ([9, 7], ValueError, "expected integers from 0 to 4 (x's time steps), got 9 at [0]"),
        ([4, -1], ValueError, "expected integers from 0 to 4 (x's time steps), got -1 at [1]"),
        (
            np.array([2**64 - 1, 0], "uint64"),
            ValueError,
            f"expected integers from 0 to 4 (x's time steps), got {2**64 - 1} at [0]",
        ),
        (np.array([4, -128], "int8"), ValueError, "expected integers from 0 to 4 (x's time steps), got -128"),
        ([4], ValueError, "expected shape (2,) [B], got (1,)"),
        ([4, 4, 4], ValueError, "expected shape (2,) [B], got (3,)"),
        ([], ValueError, "expected shape (2,) [B], got (0,)"),
        ([[4, 4]], ValueError, "expected shape (2,) [B], got (1, 2)"),
        (4, ValueError, "expected shape (2,) [B], got ()"),
        (np.broadcast_to(np.int64(4), (2**40,)), ValueError, f"expected shape (2,) [B], got ({2**40},)"),
        ([[4, 4], [4]], ValueError, INTEGERS + "a list of length 2: "),
        ([4.0, 3.0], TypeError, INTEGERS + "a list of length 2, as an array of dtype float64"),
        (np.array([4.0, 3.0]), TypeError, INTEGERS + "one of dtype float64"),
        ([True, False], TypeError, INTEGERS + "a list of length 2, as an array of dtype bool"),
        (np.ones(2, bool), TypeError, INTEGERS + "one of dtype bool"),
        ([4, None], TypeError, INTEGERS + "a list of length 2, as an array of dtype object"),
        ([4, 10**30], TypeError, INTEGERS + "a list of length 2, as an array of dtype object"),
        ("44", TypeError, INTEGERS + "'44' (str), as an array of dtype <U2"),
        ({4, 3}, TypeError, INTEGERS + "a set of length 2, as an array of dtype object"),
        (np.zeros(2, "m8[s]"), TypeError, INTEGERS + "one of dtype timedelta64[s]"),
        (np.ma.masked_array([4, 3]), TypeError, INTEGERS + "a masked array; fill its gaps first"),
        (Refuses(), TypeError, INTEGERS + "an object of type Refuses: on another device"),
    ],
)
def test_lengths(case: Case, value: Any, error: type[Exception], message: str) -> None:
    for call in case.calls():
        with raises(error, f"lengths: {message}"):
            call(case.x, case.state, lengths=value)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (5, ValueError, "expected an integer <= 4, got 5 (int)"),
        pytest.param(HUGE, ValueError, "expected an integer <= 4, got an integer of 16610 bits", id="HUGE"),
        (-1, ValueError, "expected an integer >= 0, got -1 (int)"),
        (np.uint64(2**64 - 1), ValueError, f"expected an integer <= 4, got {2**64 - 1} (int)"),
        (True, TypeError, "expected an integer >= 0, got the bool True"),
        (np.array(True), TypeError, "expected an integer >= 0, got an array of shape () and dtype bool"),
        (4.0, TypeError, "expected an integer >= 0, got 4.0 (float)"),
        (np.array(4.0), TypeError, "expected an integer >= 0, got an array of shape () and dtype float64"),
        ([4], TypeError, "expected an integer >= 0, got a list of length 1"),
        (np.array([4]), TypeError, "expected an integer >= 0, got an array of shape (1,) and dtype int64"),
        ("4", TypeError, "expected an integer >= 0, got '4' (str)"),
    ],
)
def test_length_of_one_sequence(case: Case, value: Any, error: type[Exception], message: str) -> None:
    """x without a batch has one length, no list of one."""
    for call in case.calls():
        with raises(error, f"lengths: {message}"):
            call(case.x[:, 0], lengths=value)


def test_lengths_are_counted_in_rows_and_bounded_by_steps_with_batch_first() -> None:
    case = Case("lstm", batch_first=True)
    for call in case.calls():
        with raises(ValueError, "lengths: expected shape (2,) [B], got (4,)"):
            call(case.x, lengths=[2] * 4)
        with raises(ValueError, "lengths: expected integers from 0 to 4 (x's time steps), got 5 at [0]"):
            call(case.x, lengths=[5, 2])
    case.check()


BOOLS = "expected an array of bools [T, B], got "


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.ones((2, 4), bool), ValueError, "expected shape (4, 2) [T, B], got (2, 4)"),
        (np.ones((4, 1), bool), ValueError, "expected shape (4, 2) [T, B], got (4, 1)"),
        (np.ones((4, 2, 1), bool), ValueError, "expected shape (4, 2) [T, B], got (4, 2, 1)"),
        (np.ones((4, 2, 3), bool), ValueError, "expected shape (4, 2) [T, B], got (4, 2, 3)"),
        (np.ones(4, bool), ValueError, "expected shape (4, 2) [T, B], got (4,)"),
        (np.ones(8, bool), ValueError, "expected shape (4, 2) [T, B], got (8,)"),
        (True, ValueError, "expected shape (4, 2) [T, B], got ()"),
        ([[True, False], [True]], ValueError, BOOLS + "a list of length 2: "),
        (np.ones((4, 2)), TypeError, BOOLS + "one of dtype float64"),
        (np.ones((4, 2), "uint8"), TypeError, BOOLS + "one of dtype uint8"),
        ([[0, 1]] * 4, TypeError, BOOLS + "a list of length 4, as an array of dtype int64"),
        ([[True, None]] * 4, TypeError, BOOLS + "a list of length 4, as an array of dtype object"),
        (0, TypeError, BOOLS + "0 (int), as an array of dtype int64"),
        (object(), TypeError, BOOLS + "an object of type object, as an array of dtype object"),
        (np.ma.masked_array(np.ones((4, 2), bool)), TypeError, BOOLS + "a masked array; fill its gaps first"),
        (Refuses(), TypeError, BOOLS + "an object of type Refuses: on another device"),
    ],
)
def test_reset(case: Case, value: Any, error: type[Exception], message: str) -> None:
    for call in case.calls():
        with raises(error, f"reset: {message}"):
            call(case.x, case.state, reset=value)


def test_reset_in_other_layouts(kind: str) -> None:
    case = Case(kind, batch_first=True)
    for call in case.calls():
        with raises(ValueError, "reset: expected shape (2, 4) [B, T], got (4, 2)"):
            call(case.x, reset=np.ones((4, 2), bool))
        with raises(TypeError, "reset: expected an array of bools [B, T], got one of dtype int64"):
            call(case.x, reset=np.ones((2, 4), "int64"))
        for wrong in ((4, 1), (1, 4), (3,), (), (5,)):
            with raises(ValueError, f"reset: expected shape (4,) [T], got {wrong}"):
                call(case.x[0], reset=np.ones(wrong, bool))
    case.check()


def test_a_call_that_is_refused_writes_nothing_to_out(case: Case) -> None:
    y, state = case.model(case.x)
    before = y.copy()
    for wrong in ({"lengths": [4, 5]}, {"lengths": [1.5, 2]}, {"reset": np.ones((2, 4), bool)}):
        with pytest.raises((TypeError, ValueError)):
            case.model(case.x, case.state, out=(y, state), **wrong)
        assert_same_bits(y, before)
