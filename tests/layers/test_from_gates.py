"""The textbook form: W [h, x] + b for each gate, written out here once more and compared."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstmfast
from lstmfast import LSTM

from ..helpers import Array, assert_same_bits, random

GATES = ("f", "i", "o", "c")


def gates(hidden: int, inputs: int, bias: bool = True, seed: int = 0) -> dict[str, Any]:
    """Random textbook weights, float64."""
    weights = {f"W_{g}": random((hidden, hidden + inputs), "float64", seed + n) for n, g in enumerate(GATES)}
    if bias:
        weights |= {f"b_{g}": random((hidden,), "float64", seed + 10 + n) for n, g in enumerate(GATES)}
    return weights


def sigmoid(z: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-z))


def textbook(weights: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, Array, Array]:
    """Every step of every row by the formula; x [T, B, I], h and c [B, H]."""
    hidden = len(weights["W_f"])
    b = {g: weights.get(f"b_{g}", np.zeros(hidden)) for g in GATES}
    y = np.empty((*x.shape[:2], hidden))
    h, c = h.copy(), c.copy()
    for t in range(x.shape[0]):
        for row in range(x.shape[1]):
            hx = np.concatenate([h[row], x[t, row]])
            f = sigmoid(weights["W_f"] @ hx + b["f"])
            i = sigmoid(weights["W_i"] @ hx + b["i"])
            o = sigmoid(weights["W_o"] @ hx + b["o"])
            c[row] = f * c[row] + i * np.tanh(weights["W_c"] @ hx + b["c"])
            y[t, row] = h[row] = o * np.tanh(c[row])
    return y, h, c


@pytest.mark.parametrize("bias", [True, False])
def test_the_formula(isa: str, dtype: str, bias: bool) -> None:
    weights = gates(7, 3, bias)
    lstm = LSTM.from_gates(**weights, dtype=dtype, isa=isa)
    x, h, c = (random(shape, "float64", 5) for shape in ((6, 4, 3), (1, 4, 7), (1, 4, 7)))
    expected = textbook(weights, x, h[0], c[0])
    y, (h_n, c_n) = lstm(x, (h, c))
    tolerance = 1e-12 if dtype == "float64" else 2e-6
    for actual, wanted in zip((y, h_n[0], c_n[0]), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=tolerance)


@given(hidden=st.integers(1, 9), inputs=st.integers(1, 9), bias=st.booleans(), seed=st.integers(0, 1000))
@settings(max_examples=50)
def test_the_formula_at_any_size(hidden: int, inputs: int, bias: bool, seed: int) -> None:
    weights = gates(hidden, inputs, bias, seed)
    x, zero = random((3, 2, inputs), "float64", seed), np.zeros((2, hidden))
    y, _ = LSTM.from_gates(**weights, dtype="float64")(x)
    np.testing.assert_allclose(y, textbook(weights, x, zero, zero)[0], rtol=0, atol=1e-12)


def test_where_the_numbers_go() -> None:
    weights = gates(2, 3)
    lstm = LSTM.from_gates(**weights, dtype="float64", batch_first=True)
    assert repr(lstm) == "LSTM(3, 2, batch_first=True, dtype='float64')"
    order = ("i", "f", "c", "o")  # PyTorch's, which calls c g
    assert_same_bits(
        lstm.state_dict(),
        {
            "weight_ih_l0": np.concatenate([weights[f"W_{g}"][:, 2:] for g in order]),
            "weight_hh_l0": np.concatenate([weights[f"W_{g}"][:, :2] for g in order]),
            "bias_ih_l0": np.concatenate([weights[f"b_{g}"] for g in order]),
            "bias_hh_l0": np.zeros(8),
        },
    )


def test_no_biases_is_a_model_without() -> None:
    lstm = LSTM.from_gates(**gates(2, 3, bias=False))
    assert lstm.bias is False
    assert lstm.dtype == np.float32
    assert list(lstm.parameters) == ["weight_ih_l0", "weight_hh_l0"]


def test_arrays_of_other_kinds() -> None:
    weights = gates(2, 3)
    expected = LSTM.from_gates(**weights).state_dict()
    converts: list[Callable[[Array], Any]] = [
        np.asfortranarray,
        lambda array: array.tolist(),
        lambda array: array.astype(">f8"),
    ]
    for convert in converts:
        assert_same_bits(
            LSTM.from_gates(**{k: convert(v) for k, v in weights.items()}).state_dict(), expected
        )
    mixed: dict[str, Any] = {
        name: np.ones_like(array, dtype=("int8", "float16")[n % 2])
        for n, (name, array) in enumerate(weights.items())
    }
    ones: dict[str, Any] = {name: np.ones_like(array) for name, array in weights.items()}
    assert_same_bits(LSTM.from_gates(**mixed).state_dict(), LSTM.from_gates(**ones).state_dict())


def test_arguments_are_copied() -> None:
    weights = gates(2, 3)
    lstm = LSTM.from_gates(**weights, dtype="float64")
    before = lstm.state_dict()
    for array in weights.values():
        array[...] = 7
    assert_same_bits(lstm.state_dict(), before)


def test_weights_of_torch_that_require_grad(torch: Any) -> None:
    weights = gates(2, 3)
    parameters = {name: torch.nn.Parameter(torch.from_numpy(array)) for name, array in weights.items()}
    assert_same_bits(LSTM.from_gates(**parameters).state_dict(), LSTM.from_gates(**weights).state_dict())


def test_of_a_subclass() -> None:
    class Mine(LSTM):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.notes = ["a"]

    mine = Mine.from_gates(**gates(2, 3))
    assert type(mine) is Mine
    assert mine.notes == ["a"]  # made by its own constructor
    assert not hasattr(lstmfast.RNN, "from_gates")


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"W_f": np.zeros(5)}, ValueError, "W_f: expected shape [H, H+I] with H, I >= 1, got (5,)"),
    ({"W_i": np.zeros((0, 3))}, ValueError, "W_i: expected shape [H, H+I] with H, I >= 1, got (0, 3)"),
    ({"W_o": np.zeros((2, 2))}, ValueError, "W_o: expected shape [H, H+I] with H, I >= 1, got (2, 2)"),
    ({"W_c": np.zeros((5, 2))}, ValueError, "W_c: expected shape [H, H+I] with H, I >= 1, got (5, 2)"),
    ({"W_c": np.zeros((2, 6))}, ValueError, "W_c: expected shape (2, 5) [H, H+I] like W_i's, got (2, 6)"),
    ({"W_f": np.zeros((3, 5))}, ValueError, "W_f: expected shape (2, 5) [H, H+I] like W_i's, got (3, 5)"),
    ({"W_f": None}, TypeError, "W_f: expected an array of real numbers, got None"),
    ({"W_f": "x"}, TypeError, "W_f: expected an array of real numbers, got 'x' (str)"),
    (
        {"W_f": np.zeros((2, 5), complex)},
        TypeError,
        "W_f: expected an array of real numbers, got one of dtype complex128",
    ),
    ({"b_f": np.zeros(3)}, ValueError, "b_f: expected shape (2,) [H], got (3,)"),
    ({"b_c": np.zeros((2, 1))}, ValueError, "b_c: expected shape (2,) [H], got (2, 1)"),
    ({"b_o": 0}, ValueError, "b_o: expected shape (2,) [H], got ()"),
    ({"b_o": "x"}, TypeError, "b_o: expected an array of real numbers, got 'x' (str)"),
    ({"b_i": None}, ValueError, "b_i: expected all four biases or none, got None"),
    ({"b_o": None, "b_f": None}, ValueError, "b_f, b_o: expected all four biases or none, got None"),
    ({"dtype": "int8"}, ValueError, "dtype: expected 'float32' or 'float64', got int8"),
    ({"batch_first": 1}, TypeError, "batch_first: expected True or False, got 1 (int)"),
    ({"isa": "x"}, ValueError, "isa: expected "),
]


@pytest.mark.parametrize(("wrong", "error", "message"), WRONG)
def test_wrong_arguments(wrong: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        LSTM.from_gates(**{**gates(2, 3), **wrong})


def test_missing_and_positional_arguments() -> None:
    weights = gates(2, 3)
    del weights["W_o"]
    with pytest.raises(TypeError, match="W_o"):
        LSTM.from_gates(**weights)
    with pytest.raises(TypeError, match="positional"):
        LSTM.from_gates(*gates(2, 3).values())  # type: ignore[call-arg]
