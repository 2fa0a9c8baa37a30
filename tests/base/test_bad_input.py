"""Every bad argument gets an error that names it, what was expected and what came, and changes nothing."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast import LSTM, RNN

from ..helpers import KINDS, assert_same_bits, everything, make, random, random_state, random_x

HUGE = 10**5000  # str() refuses it
NOT_NUMBERS: list[tuple[Any, str]] = [
    ("x", "'x' (str), as an array of dtype <U1"),
    (None, "None, as an array of dtype object"),
    ({"a": 1}, "a dict of length 1, as an array of dtype object"),
    (object(), "an object of type object, as an array of dtype object"),
    ([["a"]], "a list of length 1, as an array of dtype <U1"),
    (np.zeros((4, 2, 3), "complex64"), "of dtype complex64"),
    (np.zeros((4, 2, 3), "object"), "of dtype object"),
    (np.zeros((4, 2, 3), "U3"), "of dtype <U3"),
    (np.zeros((4, 2, 3), "S3"), "of dtype |S3"),
    (np.zeros((4, 2, 3), "M8[s]"), "of dtype datetime64[s]"),
    (np.zeros((4, 2, 3), "m8[s]"), "of dtype timedelta64[s]"),
    (np.zeros((4, 2, 3), [("a", "f4")]), "of dtype [('a', '<f4')]"),
    (np.ma.masked_array(np.zeros((4, 2, 3), "f4")), "a masked array; fill its gaps first"),
    (10**100, "an integer of 333 bits, as an array of dtype object"),
]


class Refuses:
    """No array comes of this."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise RuntimeError("on another device")


NOT_NUMBERS.append((Refuses(), "an object of type Refuses: on another device"))


def raises(kind: type[Exception], message: str) -> Any:
    """`pytest.raises` for a message that starts with these very words."""
    return pytest.raises(kind, match=f"^{re.escape(message)}")


# Constructors.


@pytest.mark.parametrize("name", ["input_size", "hidden_size", "num_layers"])
@pytest.mark.parametrize("cls", [LSTM, RNN])
@pytest.mark.parametrize(
    ("value", "error", "got"),
    [
        (0, ValueError, "0 (int)"),
        (-3, ValueError, "-3 (int)"),
        pytest.param(-HUGE, ValueError, "an integer of 16610 bits", id="-HUGE"),
        (np.int64(-1), ValueError, "-1 (int)"),
        (True, TypeError, "the bool True"),
        (np.True_, TypeError, "the bool True"),
        (3.0, TypeError, "3.0 (float)"),
        ("3", TypeError, "'3' (str)"),
        (None, TypeError, "None"),
        ([3], TypeError, "a list of length 1"),
        (np.zeros(3), TypeError, "an array of shape (3,) and dtype float64"),
        (1j, TypeError, "1j (complex)"),
    ],
)
def test_sizes(cls: Any, name: str, value: Any, error: type[Exception], got: str) -> None:
    arguments = {"input_size": 2, "hidden_size": 3, name: value}
    with raises(error, f"{name}: expected an integer >= 1, got {got}"):
        cls(**arguments)


@pytest.mark.parametrize("name", ["input_size", "hidden_size", "num_layers"])
@pytest.mark.parametrize("cls", [LSTM, RNN])
def test_sizes_beyond_the_address_space(cls: Any, name: str) -> None:
    with raises(ValueError, f"{name}: expected an integer <= {sys.maxsize}, got an integer of 16610 bits"):
        cls(**{"input_size": 2, "hidden_size": 3, name: HUGE})
    with raises(ValueError, "input_size, hidden_size, num_layers: "):
        cls(**{"input_size": 2, "hidden_size": 3, name: sys.maxsize})
    with raises(ValueError, "input_size, hidden_size, num_layers: "):
        cls(2**40, 2**40)


def test_the_largest_sizes_that_can_be_addressed() -> None:
    # Just too large in bytes, though not in numbers: 4H(I + H + 2) * 8 > 2**63.
    with raises(ValueError, "input_size, hidden_size, num_layers: 1 (int), 536870912 (int) and 1 (int)"):
        LSTM(1, 2**29, dtype="float64")
    # 2**60 bytes of numbers, or of arrays for them: there could be such a machine.
    for sizes in ((1, 2**28), (1, 1, 2**48)):
        with pytest.raises(MemoryError):
            LSTM(*sizes)


@pytest.mark.parametrize("name", ["bias", "batch_first", "bidirectional"])
@pytest.mark.parametrize("cls", [LSTM, RNN])
@pytest.mark.parametrize(
    ("value", "got"), [(0, "0 (int)"), (1, "1 (int)"), ("no", "'no' (str)"), (None, "None")]
)
def test_flags(cls: Any, name: str, value: Any, got: str) -> None:
    with raises(TypeError, f"{name}: expected True or False, got {got}"):
        cls(2, 3, **{name: value})


@pytest.mark.parametrize("cls", [LSTM, RNN])
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (2, ValueError, "expected a number from 0 to 1, got 2 (int)"),
        (-0.1, ValueError, "expected a number from 0 to 1, got -0.1 (float)"),
        (1.0000001, ValueError, "expected a number from 0 to 1, got 1.0000001 (float)"),
        (float("nan"), ValueError, "expected a number from 0 to 1, got nan (float)"),
        pytest.param(
            HUGE, ValueError, "expected a number from 0 to 1, got an integer of 16610 bits", id="HUGE"
        ),
        (True, TypeError, "expected a number from 0 to 1, got True"),
        (False, TypeError, "expected a number from 0 to 1, got False"),
        ("x", TypeError, "expected a number from 0 to 1, got 'x' (str)"),
        (None, TypeError, "expected a number from 0 to 1, got None"),
        (0j, TypeError, "expected a number from 0 to 1, got 0j (complex)"),
    ],
)
def test_dropout(cls: Any, value: Any, error: type[Exception], message: str) -> None:
    with raises(error, f"dropout: {message}"):
        cls(2, 3, dropout=value)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (3, ValueError, "expected less than hidden_size (3), got 3 (int)"),
        pytest.param(
            HUGE, ValueError, f"expected an integer <= {sys.maxsize}, got an integer of 16610 bits", id="HUGE"
        ),
        (-1, ValueError, "expected an integer >= 0, got -1 (int)"),
        (False, TypeError, "expected an integer >= 0, got the bool False"),
        (0.0, TypeError, "expected an integer >= 0, got 0.0 (float)"),
    ],
)
def test_proj_size(value: Any, error: type[Exception], message: str) -> None:
    with raises(error, f"proj_size: {message}"):
        LSTM(2, 3, proj_size=value)


def test_an_rnn_has_no_projection() -> None:
    with pytest.raises(TypeError, match="proj_size"):
        RNN(2, 3, proj_size=0)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("value", "error", "got"),
    [
        ("gelu", ValueError, "'gelu' (str)"),
        ("TANH", ValueError, "'TANH' (str)"),
        ("x" * 1000, ValueError, f"'{'x' * 79}... (str)"),
        (None, TypeError, "None"),
        (np.tanh, TypeError, "an object of type ufunc"),
    ],
)
def test_nonlinearity(value: Any, error: type[Exception], got: str) -> None:
    with raises(error, f"nonlinearity: expected 'tanh' or 'relu', got {got}"):
        RNN(2, 3, nonlinearity=value)


@pytest.mark.parametrize("cls", [LSTM, RNN])
@pytest.mark.parametrize(
    ("value", "error", "got"),
    [
        ("float16", ValueError, "float16"),
        ("int32", ValueError, "int32"),
        (
            ">f4" if sys.byteorder == "little" else "<f4",
            ValueError,
            ">f4" if sys.byteorder == "little" else "<f4",
        ),
        (int, ValueError, "int64"),
        ("complex64", ValueError, "complex64"),
        ("bogus", ValueError, "'bogus' (str)"),
        ("", ValueError, "'' (str)"),
        (None, TypeError, "None"),
        (7, TypeError, "7 (int)"),
        (object(), TypeError, "an object of type object"),
    ],
)
def test_dtype(cls: Any, value: Any, error: type[Exception], got: str) -> None:
    with raises(error, f"dtype: expected 'float32' or 'float64', got {got}"):
        cls(2, 3, dtype=value)


every_wrong_seed = pytest.mark.parametrize(
    ("value", "error", "got"),
    [
        (-1, ValueError, "-1 (int)"),
        (True, TypeError, "the bool True"),
        (1.5, TypeError, "1.5 (float)"),
        ("x", TypeError, "'x' (str)"),
        ([1, 2], TypeError, "a list of length 2"),
        (np.random.RandomState(0), TypeError, "an object of type RandomState"),
        (np.random.PCG64(0), TypeError, "an object of type PCG64"),
    ],
)


@pytest.mark.parametrize("cls", [LSTM, RNN])
@every_wrong_seed
def test_seed(cls: Any, value: Any, error: type[Exception], got: str) -> None:
    with raises(error, f"seed: expected None, an integer >= 0 or a numpy.random.Generator, got {got}"):
        cls(2, 3, seed=value)


@pytest.mark.parametrize("cls", [LSTM, RNN])
def test_isa(cls: Any) -> None:
    there = " or ".join(map(repr, lstmfast.available_isas()))
    for value, error, got in (
        ("sse9", ValueError, "'sse9' (str)"),
        ("", ValueError, "'' (str)"),
        (5, TypeError, "5 (int)"),
    ):
        with raises(error, f"isa: expected {there}, got {got}"):
            cls(2, 3, isa=value)


@pytest.mark.parametrize("cls", [LSTM, RNN])
def test_too_few_or_unknown_arguments(cls: Any) -> None:
    with pytest.raises(TypeError, match="hidden_size"):
        cls(2)
    with pytest.raises(TypeError, match="hidden"):
        cls(2, 3, hidden=4)
    with pytest.raises(TypeError, match="positional"):
        cls(*[2, 3, 1, True, False, 0.0, False, 0, "float32", 1, None])


# Calls. Each takes (model, what is right, what is wrong) and must change neither.


class Case:
    """A model with right arguments for everything; `check` sees that nothing has changed."""

    def __init__(self, kind: str, batched: bool = True, **options: Any) -> None:
        self.kind = kind
        self.model: Any = make(kind, 3, 5, num_layers=2, **options)
        self.x, self.state = random_x(self.model, 4, 2), random_state(self.model, 2)
        features = self.model.proj_size or 5
        self.dy = random((*self.x.shape[:2], features), seed=5)
        self.dstate = random_state(self.model, 2, seed=6)
        if not batched:
            axis = 0 if self.model.batch_first else 1
            self.x, self.dy = self.x.squeeze(axis)[..., :], self.dy.squeeze(axis)
        self.tape = self.model.forward(self.x, self.state)[2]
        self.arguments = [array.copy() for array in self.arrays()]
        self.network, self.parameters = self.model._network, self.model.parameters
        self.weights = self.model.state_dict()
        self.before = everything(self.model, self.x, self.state, self.dy, self.dstate)

    def arrays(self) -> list[Any]:
        states = [*self.state, *self.dstate] if self.kind == "lstm" else [self.state, self.dstate]
        return [self.x, self.dy, *states]

    def check(self) -> None:
        assert_same_bits(self.arrays(), self.arguments)
        assert self.model._network is self.network
        assert self.model.parameters is self.parameters
        assert_same_bits(self.model.state_dict(), self.weights)
        assert_same_bits(everything(self.model, self.x, self.state, self.dy, self.dstate), self.before)
        assert_same_bits(self.model.backward(self.tape, self.dy, self.dstate).x, self.before["dx"])

    def calls(self) -> list[Callable[..., Any]]:
        return [self.model, self.model.forward]


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest) -> Any:
    case = Case(request.param)
    yield case
    case.check()


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
        for place, name in enumerate(names[: 2 if kind == "lstm" else 1]):
            for bad, error, got in wrong_parts(shape):
                state: Any = bad if kind != "lstm" else (bad, right) if place == 0 else (right, bad)
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


# What forward alone takes.


@pytest.mark.parametrize(
    ("value", "got"), [(0, "0 (int)"), (1, "1 (int)"), ("gates", "'gates' (str)"), (None, "None")]
)
def test_recompute(case: Case, value: Any, got: str) -> None:
    with raises(TypeError, f"recompute: expected True or False, got {got}"):
        case.model.forward(case.x, recompute=value)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@every_wrong_seed
def test_seed_of_dropout(kind: str, dropout: float, value: Any, error: type[Exception], got: str) -> None:
    """Also where nothing would be drawn of it: what is wrong is not to show later."""
    model = make(kind, 3, 5, num_layers=2, dropout=dropout)
    expected = f"seed: expected None, an integer >= 0 or a numpy.random.Generator, got {got}"
    with raises(error, expected):
        model.forward(np.zeros((4, 2, 3)), seed=value)


def test_a_call_that_is_refused_draws_nothing(kind: str) -> None:
    model = make(kind, 3, 5, num_layers=2, dropout=0.5)
    generator = np.random.default_rng(1)
    before = generator.bit_generator.state
    x = np.zeros((4, 2, 3))
    wrong: list[dict[str, Any]] = [
        {"x": x[..., :2]},
        {"x": x, "state": 3},
        {"x": x, "lengths": [4, 5]},
        {"x": x, "reset": np.ones((2, 4), bool)},
        {"x": x, "recompute": 1},
    ]
    for arguments in wrong:
        with pytest.raises((TypeError, ValueError)):
            model.forward(**arguments, seed=generator)
    assert generator.bit_generator.state == before
    model.forward(x, seed=generator)
    assert generator.bit_generator.state != before


def test_masks_larger_than_this_machines_memory(kind: str) -> None:
    for num_layers, shape in ((2, (2**30, 2**20, 3)), (33, (2**56, 1, 1))):
        model = make(kind, shape[2], 5, num_layers=num_layers, dropout=0.5)
        with pytest.raises(MemoryError):
            model.forward(np.broadcast_to(np.float32(0), shape), seed=1)


@pytest.mark.parametrize("name", ["recompute", "seed"])
def test_a_call_takes_nothing_that_is_forwards(case: Case, name: str) -> None:
    with pytest.raises(TypeError, match=name):
        case.model(case.x, **{name: None})


# backward.


@pytest.mark.parametrize("value", [None, 0, "tape", (1, 2), object()])
def test_tape_that_is_none(case: Case, value: Any) -> None:
    with raises(TypeError, "tape: expected a Tape from forward, got "):
        case.model.backward(value, case.dy)
    with raises(TypeError, "tape: expected a Tape from forward, got "):
        case.model.backward(case.tape._core, case.dy)


def test_tape_of_another_model(case: Case) -> None:
    for other in (
        make(case.kind, 3, 5, num_layers=2),
        make(case.kind, 3, 6),
        make("lstm", 1, 1, dtype="float64"),
    ):
        tape = other.forward(np.zeros((4, 2, other.input_size)))[2]
        with raises(
            ValueError, f"tape: expected one of this model, {case.model!r}, got one of another, {other!r}"
        ):
            case.model.backward(tape, case.dy)


TRAINING: list[dict[str, Any]] = [
    {"lengths": [4, 1]},
    {"reset": np.eye(4, 2, -1, bool)},
    {"recompute": True},
    {"lengths": [3, 0], "reset": np.eye(4, 2, -1, bool), "recompute": True, "seed": 3},
]


@pytest.mark.parametrize("options", TRAINING)
def test_tape_of_another_model_or_of_earlier_weights_with_more_to_it(
    kind: str, options: dict[str, Any]
) -> None:
    case, other = Case(kind, dropout=0.5), make(kind, 3, 5, num_layers=2)
    tape = case.model.forward(case.x, case.state, **options)[2]
    expected = case.model.backward(tape, case.dy, case.dstate).x
    with raises(
        ValueError, f"tape: expected one of this model, {other!r}, got one of another, {case.model!r}"
    ):
        other.backward(tape, case.dy)
    with raises(ValueError, "dy: expected shape (4, 2, 5) [T, B, D*H], got (3, 2, 5)"):
        case.model.backward(tape, case.dy[:3])
    assert_same_bits(case.model.backward(tape, case.dy, case.dstate).x, expected)
    case.model.update({"weight_ih_l0": case.weights["weight_ih_l0"]})
    with raises(ValueError, "tape: the weights have changed since forward made it"):
        case.model.backward(tape, case.dy)


@pytest.mark.parametrize("way", ["update", "load_state_dict"])
def test_tape_of_earlier_weights(kind: str, way: str) -> None:
    case = Case(kind)
    getattr(case.model, way)(case.model.state_dict())
    with raises(ValueError, "tape: the weights have changed since forward made it"):
        case.model.backward(case.tape, case.dy)


@pytest.mark.parametrize("shape", [(), (4, 2), (4, 2, 4), (2, 4, 5), (4, 5), (1, 4, 2, 5), (5, 2, 5)])
def test_shape_of_dy(case: Case, shape: tuple[int, ...]) -> None:
    with raises(ValueError, f"dy: expected shape (4, 2, 5) [T, B, D*H], got {shape}"):
        case.model.backward(case.tape, np.zeros(shape, "float32"))


def test_shape_of_dy_in_other_layouts(kind: str) -> None:
    case = Case(kind, batch_first=True)
    with raises(ValueError, "dy: expected shape (2, 4, 5) [B, T, D*H], got (4, 2, 5)"):
        case.model.backward(case.tape, np.zeros((4, 2, 5)))
    tape = case.model.forward(np.zeros((4, 3)))[2]
    with raises(ValueError, "dy: expected shape (4, 5) [T, D*H], got (1, 4, 5)"):
        case.model.backward(tape, np.zeros((1, 4, 5)))
    case.check()


def test_shape_of_dy_of_a_projected_lstm() -> None:
    case = Case("lstm", proj_size=3)
    with raises(ValueError, "dy: expected shape (4, 2, 3) [T, B, D*P], got (4, 2, 5)"):
        case.model.backward(case.tape, np.zeros((4, 2, 5)))
    tape = case.model.forward(case.x[:, 0])[2]
    with raises(ValueError, "dy: expected shape (4, 3) [T, D*P], got (4, 5)"):
        case.model.backward(tape, np.zeros((4, 5)))
    case.check()
    case = Case("lstm", proj_size=3, batch_first=True)
    with raises(ValueError, "dy: expected shape (2, 4, 3) [B, T, D*P], got (4, 2, 3)"):
        case.model.backward(case.tape, np.zeros((4, 2, 3)))
    case.check()


@pytest.mark.parametrize(("value", "got"), [entry for entry in NOT_NUMBERS if entry[0] is not None])
def test_dy_that_is_no_array_of_numbers(case: Case, value: Any, got: str) -> None:
    with pytest.raises(TypeError) as caught:
        case.model.backward(case.tape, value)
    assert str(caught.value).startswith("dy: expected an array of real numbers, got ")
    assert got in str(caught.value)


# Weights.


@pytest.mark.parametrize("way", ["update", "load_state_dict"])
@pytest.mark.parametrize(
    ("value", "got"),
    [
        (None, "None"),
        ([("weight_ih_l0", 0)], "a list of length 1"),
        ("weight_ih_l0", "'weight_ih_l0' (str)"),
        (5, "5 (int)"),
    ],
)
def test_weights_that_are_no_mapping(case: Case, way: str, value: Any, got: str) -> None:
    argument = "parameters" if way == "update" else "state_dict"
    with raises(TypeError, f"{argument}: expected a mapping from names to arrays, got {got}"):
        getattr(case.model, way)(value)


@pytest.mark.parametrize("way", ["update", "load_state_dict"])
def test_unexpected_names(case: Case, way: str) -> None:
    argument = "parameters" if way == "update" else "state_dict"
    weights = case.model.state_dict()
    for name in ("weight_ih_l2", "weight_ih_l0_reverse", "Weight_ih_l0", "", 7, ("a",)):
        with pytest.raises(
            ValueError, match=rf"^{argument}: expected the names weight_ih_l0, .*bias_hh_l1, got "
        ) as caught:
            getattr(case.model, way)({**weights, name: weights["weight_ih_l0"]})
        assert str(caught.value).endswith(f", got unexpected {name}")


def test_missing_and_unexpected_names(case: Case) -> None:
    weights = case.model.state_dict()
    for name in weights:
        rest = {other: array + 1 for other, array in weights.items() if other != name}
        with pytest.raises(ValueError, match=rf"^state_dict: expected the names .*, got missing {name}$"):
            case.model.load_state_dict(rest)
        with pytest.raises(ValueError, match=rf"got unexpected other; missing {name}$"):
            case.model.load_state_dict(rest | {"other": weights[name]})
    with pytest.raises(ValueError, match=r"got missing weight_ih_l0, .*, bias_hh_l1$"):
        case.model.load_state_dict({})
    many = {f"other{n}": 0 for n in range(100)}
    with pytest.raises(ValueError, match=r"unexpected other0, .*, other11 and 88 more$"):
        case.model.update(many)


@pytest.mark.parametrize("way", ["update", "load_state_dict"])
def test_shape_of_a_weight(case: Case, way: str) -> None:
    argument = "parameters" if way == "update" else "state_dict"
    rows, symbol = (20, "4*hidden_size") if case.kind == "lstm" else (5, "hidden_size")
    weights = {name: array + 1 for name, array in case.model.state_dict().items()}
    for name, expected in (
        ("weight_ih_l0", f"({rows}, 3) [{symbol}, input_size]"),
        ("weight_ih_l1", f"({rows}, 5) [{symbol}, hidden_size]"),
        ("weight_hh_l1", f"({rows}, 5) [{symbol}, hidden_size]"),
        ("bias_hh_l1", f"({rows},) [{symbol}]"),
    ):
        for bad in ((), (rows,), (rows, 4), (3, rows), (rows + 1, 5), (rows, 3, 1), (rows, 5, 1), (0, 5)):
            if bad == weights[name].shape:
                continue
            # The last to be looked at would be changed last: a half-done change would show.
            with raises(ValueError, f"{argument}['{name}']: expected shape {expected}, got {bad}"):
                getattr(case.model, way)({**weights, name: np.zeros(bad)})


@pytest.mark.parametrize("way", ["update", "load_state_dict"])
@pytest.mark.parametrize(("value", "got"), NOT_NUMBERS)
def test_weight_that_is_no_array_of_numbers(case: Case, way: str, value: Any, got: str) -> None:
    argument = "parameters" if way == "update" else "state_dict"
    weights = {name: array + 1 for name, array in case.model.state_dict().items()}
    with pytest.raises(TypeError) as caught:
        getattr(case.model, way)({**weights, "bias_hh_l1": value})
    assert str(caught.value).startswith(f"{argument}['bias_hh_l1']: expected an array of real numbers, got ")
    assert got in str(caught.value)


def test_weights_for_two_directions_say_so() -> None:
    lstm = LSTM(3, 5, 2, bidirectional=True)
    with raises(
        ValueError,
        "parameters['weight_ih_l1_reverse']: expected shape (20, 10) [4*hidden_size, 2*hidden_size]",
    ):
        lstm.update({"weight_ih_l1_reverse": np.zeros((20, 5))})


def test_weights_of_a_projection_say_so() -> None:
    lstm = LSTM(3, 5, 2, bidirectional=True, proj_size=2)
    for name, shape, symbols in (
        ("weight_hr_l0", (2, 5), "[proj_size, hidden_size]"),
        ("weight_hh_l1_reverse", (20, 2), "[4*hidden_size, proj_size]"),
        ("weight_ih_l1", (20, 4), "[4*hidden_size, 2*proj_size]"),
    ):
        with raises(ValueError, f"parameters['{name}']: expected shape {shape} {symbols}, got (20, 5)"):
            lstm.update({name: np.zeros((20, 5))})
    with raises(ValueError, "parameters['weight_ih_l1']: expected shape (20, 2) [4*hidden_size, proj_size]"):
        LSTM(3, 5, 2, proj_size=2).update({"weight_ih_l1": np.zeros((20, 5))})
    with pytest.raises(ValueError, match="got unexpected weight_hr_l0"):
        LSTM(3, 5).update({"weight_hr_l0": np.zeros((2, 5))})
    weights = lstm.state_dict()
    del weights["weight_hr_l1_reverse"]
    with pytest.raises(ValueError, match=r"got missing weight_hr_l1_reverse$"):
        lstm.load_state_dict(weights)
