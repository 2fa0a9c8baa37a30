"""Every bad argument of a constructor, and every bad weight, gets an error that says what was expected."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast import LSTM, RNN

from ..helpers import gates_of
from .helpers import HUGE, NOT_NUMBERS, Case, every_wrong_seed, raises

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
    rows, symbol = (5 * gates_of(case.kind), f"{gates_of(case.kind)}*hidden_size".removeprefix("1*"))
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
