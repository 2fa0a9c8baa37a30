"""int8 with a calibration: inputs of every size, in the bits of the NumPy model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ..core_helpers import reference_of
from ..helpers import Array, assert_same_bits, make, random, random_state, random_x
from .helpers import Int8Model, f32, needs_fma, plain_nan, trained
from .int8 import Compared, check

# default_floats: NumPy computes what is compared, and does so in the environment of the process.
pytestmark = [needs_fma, pytest.mark.usefixtures("one_thread", "default_floats")]


def features_of_every_size(model: Any, sizes: Array, T: int, B: int, seed: int = 0) -> Array:
    """x whose features differ in size; weight_ih is made to give all of them the same part in the sums."""
    model.update({"weight_ih_l0": model.parameters["weight_ih_l0"] / sizes})
    return (random((T, B, len(sizes)), seed=seed) * sizes).astype(np.float32)


def error(model: Any, q: Any, x: Array) -> float:
    """Root mean square of y, off from the reference in float64."""
    truth = reference_of(model).forward(x.astype(np.float64), None, None)[0]
    return float(np.sqrt(np.mean((q(x)[0] - truth) ** 2)))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_calibration_exactly(kind: str, num_layers: int, bidirectional: bool) -> None:
    sizes = np.array([1e-6, 1, 1e-2, 300, 1e5])
    model = trained(kind, 5, 19, num_layers=num_layers, bidirectional=bidirectional)
    x = features_of_every_size(model, sizes, 7, 6)
    check(model, x, calibration=x)
    check(model, x, random_state(model, 6), calibration=x, lengths=[7, 0, 3, 1, 7, 5])
    check(model, x, calibration=x[:1, :1] * np.float32(1e-3))  # most of x is beyond the range
    check(model, x, calibration=np.float32(3) * x)
    x[2, 3, 1], x[1, 1, 0] = np.nan, np.inf
    check(model, x, calibration=np.nan_to_num(x, posinf=1))


def test_calibration_of_odd_and_large_sizes() -> None:
    for I in (1, 3, 16, 17, 67, 1000, 32769):
        model = make("lstm", I, 5)
        sizes = np.exp(np.linspace(-8, 8, I))
        x = features_of_every_size(model, sizes, 3, 4)
        compared = Compared(model, x)
        compared.check(x)
        compared.check(x[:, :1].copy())


def test_calibration_keeps_what_small_features_say(kind: str) -> None:
    sizes = np.array([1e-4, 1, 1e-2, 300, 1e4])
    model = trained(kind, 5, 32)
    model.update(
        {"weight_hh_l0": 0.2 * model.parameters["weight_hh_l0"]}
    )  # or a relu's h would grow and grow
    x = features_of_every_size(model, sizes, 30, 8)
    later = (random((30, 8, 5), seed=9) * sizes).astype(np.float32)
    plain, calibrated = model.quantize("int8"), model.quantize("int8", x)
    for data in (x, later):
        assert error(model, calibrated, data) < error(model, plain, data) / 5


def test_calibration_of_features_of_one_size_changes_little(kind: str) -> None:
    model = trained(kind, 16, 32)
    x = random_x(model, 30, 8)
    assert error(model, model.quantize("int8", x), x) < 1.5 * error(model, model.quantize("int8"), x)


def test_calibration_by_powers_of_two_changes_nothing() -> None:
    """All ranges 1: numbers are what they were."""
    model = trained("lstm", 5, 19)
    x = random_x(model, 6, 3)
    assert_same_bits(model.quantize("int8", np.ones((1, 5)))(x), model.quantize("int8")(x))
    assert_same_bits(model.quantize("int8", np.zeros((1, 5)))(x), model.quantize("int8")(x))


@pytest.mark.parametrize("batch_first", [False, True])
def test_any_form_of_calibration(batch_first: bool) -> None:
    model = make("lstm", 3, 5, batch_first=batch_first, dtype="float64")
    x = np.arange(36).reshape(4, 3, 3) - 11
    expected = f32([22, 23, 24])
    forms: dict[str, Any] = {
        "integers": x,
        "lists": x.tolist(),
        "float16": x.astype("float16"),
        "float32": x.astype("float32"),
        "float64": x.astype("float64"),
        "big-endian": x.astype(">f4"),
        "strided": np.repeat(x, 2, axis=-1)[..., ::2],
        "unbatched": x.reshape(12, 3),
        "one step": x[-1:],
        "read-only": np.broadcast_to(x[-1], (2, 3, 3)),
    }
    for name, form in forms.items():
        q = model.quantize("int8", calibration=form)
        assert_same_bits(q.parameters["input_range"], expected, name)
        assert_same_bits(q.parameters["input_range"], model.quantize("int8", form).parameters["input_range"])
    # Of which int8 has no magnitude, nor uint64 a float32 of its own.
    for form, largest in ((np.array([[-128, 1, 2]], np.int8), 128), (np.array([[2**64 - 1, 1, 2]]), 2.0**64)):
        assert model.quantize("int8", form).parameters["input_range"][0] == largest


@pytest.mark.parametrize(
    ("largest", "expected"),
    [
        ([2, 0, 3], [2, 2, 3]),
        ([0, 0, 3], [3, 3, 3]),
        ([0, 0, 0], [1, 1, 1]),
        ([-2, 0, 0.5], [2, 0.5, 0.5]),
        ([1e-39, 4, 3], [3, 4, 3]),
        ([1e-39, 1e-45, 0], [1, 1, 1]),
        ([2.0**-126, 4, 0], [2.0**-126, 4, 2.0**-126]),
        ([3e38, 1, 1], [3e38, 1, 1]),
    ],
)
def test_ranges_of_features_that_say_nothing(largest: list[float], expected: list[float]) -> None:
    model = make("lstm", 3, 5)
    model.update({"weight_ih_l0": model.parameters["weight_ih_l0"] * f32([1e-3, 1, 1])})
    q = model.quantize("int8", np.array([[0, 0, 0], largest]))
    assert_same_bits(q.parameters["input_range"], f32(expected))
    x = random_x(model, 3, 2)
    assert_same_bits(
        plain_nan(q(x)), plain_nan(Int8Model(model, np.array([[0, 0, 0], largest], np.float64))(x))
    )
