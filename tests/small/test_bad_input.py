"""Weights that are no numbers, kinds and calibrations that are none: what is refused."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest

from ..helpers import Array, assert_same_bits, make, random_state, random_x
from .helpers import LARGEST, WEIGHT_DTYPES, every_weight_dtype, with_numbers


def raises(kind: type[Exception], message: str) -> Any:
    """`pytest.raises` for a message that starts with these very words."""
    return pytest.raises(kind, match=f"^{re.escape(message)}")


PARAMETERS = [
    f"{name}_l{layer}{suffix}"
    for layer, suffix, name in itertools.product(
        (0, 1), ("", "_reverse"), ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    )
]


def spoilt(model: Any, name: str, value: float, place: int) -> str:
    """Put `value` into a parameter, and say where."""
    array = model.parameters[name].copy()
    place %= array.size
    array.ravel()[place] = value
    model.update({name: array})
    where = np.unravel_index(place, array.shape)
    return f"({', '.join(map(str, where))}{',' if array.ndim == 1 else ''})"


@every_weight_dtype
@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(name: str, weight_dtype: str, value: float, dtype: str) -> None:
    for place in (0, 17, -1):
        options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "proj_size": 4}
        model = make("lstm", 3, 5, dtype=dtype, **options)
        where = spoilt(model, name, value, place)
        before, x = model.state_dict(), random_x(model, 3, 2)
        y = model(x)
        with raises(ValueError, f"{name}: expected finite numbers, got {value} at {where}"):
            model.quantize(weight_dtype)
        assert_same_bits(model.state_dict(), before)
        assert_same_bits(model(x), y)
        model.update({name: np.zeros(before[name].shape)})
        model.quantize(weight_dtype)


@every_weight_dtype
@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"])
def test_numbers_that_are_not_finite_in_an_rnn(kind: str, weight_dtype: str, name: str) -> None:
    model = make(kind, 3, 5)
    where = spoilt(model, name, np.nan, 4)
    with raises(ValueError, f"{name}: expected finite numbers, got nan at {where}"):
        model.quantize(weight_dtype)


@every_weight_dtype
@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "weight_hr_l0", "bias_ih_l0", "bias_hh_l0"])
@pytest.mark.parametrize("value", [3.5e38, -1e39, 1e300])
def test_numbers_of_float64_beyond_float32(name: str, weight_dtype: str, value: float) -> None:
    model = make("lstm", 3, 5, proj_size=4, dtype="float64")
    where = spoilt(model, name, value, 4)
    before = model.state_dict()
    with pytest.raises(ValueError, match=f"^{name}: expected .*finite") as caught:
        model.quantize(weight_dtype)
    assert f"at {where}" in str(caught.value)
    assert_same_bits(model.state_dict(), before)
    model.update({name: np.zeros(before[name].shape)})
    model.quantize(weight_dtype)


def test_the_largest_float64_that_float32_holds() -> None:
    """What rounds to the largest float32 is no infinity."""
    model = with_numbers([LARGEST * (1 + 2.0**-26)], "float64")
    q = model.quantize("int8")
    assert q.parameters["weight_ih_l0"][0, 0] == 127
    assert q.parameters["weight_ih_l0_scale"][0] == np.float32(LARGEST) / np.float32(127)


@pytest.mark.parametrize(
    ("value", "error", "got"),
    [
        ("int4", ValueError, "'int4' (str)"),
        ("INT8", ValueError, "'INT8' (str)"),
        ("float32", ValueError, "'float32' (str)"),
        ("float64", ValueError, "'float64' (str)"),
        ("uint8", ValueError, "'uint8' (str)"),
        ("", ValueError, "'' (str)"),
        ("x" * 1000, ValueError, f"'{'x' * 79}... (str)"),
        (None, TypeError, "None"),
        (8, TypeError, "8 (int)"),
        (np.int8, TypeError, "an object of type type"),
        (np.dtype("float16"), TypeError, "an object of type"),
        (b"int8", TypeError, "b'int8' (bytes)"),
        (["int8"], TypeError, "a list of length 1"),
    ],
)
def test_kinds_that_there_are_not(kind: str, value: Any, error: type[Exception], got: str) -> None:
    model = make(kind, 3, 5)
    with raises(error, f"kind: expected 'float16' or 'bfloat16' or 'int8', got {got}"):
        model.quantize(value)


def test_too_few_or_unknown_arguments(kind: str) -> None:
    model = make(kind, 3, 5)
    with pytest.raises(TypeError, match="kind"):
        model.quantize()
    with pytest.raises(TypeError, match="bits"):
        model.quantize("int8", bits=4)
    with pytest.raises(TypeError, match="positional"):
        model.quantize("int8", None, None)


@pytest.mark.parametrize("weight_dtype", ["float16", "bfloat16"])
def test_calibration_without_int8(kind: str, weight_dtype: str) -> None:
    model = make(kind, 3, 5)
    for calibration in (np.ones((4, 2, 3)), np.ones(3), "x"):
        with raises(ValueError, f"calibration: expected None for {weight_dtype}, "):
            model.quantize(weight_dtype, calibration)
    model.quantize(weight_dtype, None)


CALIBRATIONS: list[tuple[Any, type[Exception]]] = [
    (np.ones(3), ValueError),
    (np.ones((4, 2, 2)), ValueError),
    (np.ones((4, 2, 4)), ValueError),
    (np.ones((4, 2)), ValueError),
    (np.ones((1, 4, 2, 3)), ValueError),
    (np.float32(1), ValueError),
    (np.ones((0, 3)), ValueError),
    (np.ones((0, 2, 3)), ValueError),
    (np.ones((4, 0, 3)), ValueError),
    ([], ValueError),
    ([[1.0, 2.0, 3.0], [1.0]], ValueError),
    ("x", TypeError),
    (np.ones((4, 2, 3), complex), TypeError),
    (np.ones((4, 2, 3), object), TypeError),
    (np.full((4, 2, 3), "1"), TypeError),
    (np.ma.masked_array(np.ones((4, 2, 3)), mask=True), TypeError),
    (object(), TypeError),
    ({"x": 1}, TypeError),
]


@pytest.mark.parametrize(("calibration", "error"), CALIBRATIONS)
def test_calibrations_that_are_none(kind: str, calibration: Any, error: type[Exception]) -> None:
    model = make(kind, 3, 5)
    before = model.state_dict()
    with pytest.raises(error, match=r"^calibration: expected .*, got "):
        model.quantize("int8", calibration)
    assert_same_bits(model.state_dict(), before)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39, -1e300])
def test_calibrations_that_are_not_finite(kind: str, value: float, dtype: str) -> None:
    x = np.ones((4, 2, 3))
    x[2, 1, 1] = value
    for calibration in (x, x.reshape(8, 3), x.tolist()):
        model = make(kind, 3, 5, dtype=dtype)
        with pytest.raises(ValueError, match=r"^calibration: expected .*finite"):
            model.quantize("int8", calibration)


def test_weights_that_a_calibration_makes_infinite() -> None:
    """weight_ih times the range is what is rounded: 1e10 * 1e30 is beyond float32."""
    model = with_numbers([1e10])
    x = np.ones((4, 2, 4))
    x[..., 0] = 1e30
    message = "weight_ih_l0, times the calibration's ranges: expected finite numbers, got inf at (0, 0)"
    with raises(ValueError, message):
        model.quantize("int8", x)
    x[..., 0] = 1e20
    q = model.quantize("int8", x)
    assert all(np.isfinite(array).all() for array in q.parameters.values())


@every_weight_dtype
def test_a_mistake_changes_nothing(kind: str, weight_dtype: str) -> None:
    """Neither the model nor what was made of it before."""
    model = make(kind, 3, 5, num_layers=2)
    x, state = random_x(model, 4, 2), random_state(model, 2)
    q = model.quantize(weight_dtype)
    expected = q(x, state)
    kept: dict[str, Array] = {name: array.copy() for name, array in q.parameters.items()}
    model.update({"weight_hh_l1": np.full((*model.parameters["weight_hh_l1"].shape,), np.nan)})
    for wrong in WEIGHT_DTYPES:
        with raises(ValueError, "weight_hh_l1: expected finite numbers, got nan at (0, 0)"):
            model.quantize(wrong)
    assert_same_bits(dict(q.parameters), kept)
    assert_same_bits(q(x, state), expected)
