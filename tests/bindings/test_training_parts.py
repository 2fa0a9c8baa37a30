"""What the compiled core has for training beside the layers: a dense layer's products, norms, Adam's step."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast import _core

from ..helpers import DTYPES, ISAS, Array, assert_same_bits, random

# NumPy computes what is compared, and does so in the environment of the process.
pytestmark = pytest.mark.usefixtures("default_floats")

NUMBERS = (0.9, 0.999, 0.02, 0.3, 1e-8)  # beta1, beta2, rate, root_correction, eps


def weights(shape: tuple[int, ...], dtype: str) -> tuple[Array, Array, Array, Array]:
    """Weights, gradients, means and means of squares."""
    w, g, m = (np.asarray(random(shape, dtype, seed)) for seed in range(3))
    return w, g, m, np.asarray(np.square(random(shape, dtype, 3)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(), (0,), (3, 5), (2, 3, 7), (300, 401)]
)  # the last is shared among threads
def test_a_step_of_adam_has_numpys_bits(shape: tuple[int, ...], dtype: str, threads: None) -> None:
    w, g, m, v = weights(shape, dtype)
    beta1, beta2, rate, root_correction, eps = NUMBERS
    means = m + (1 - beta1) * (g - m)
    squares = beta2 * v + (1 - beta2) * (g * g)
    expected = (w - rate * means / (np.sqrt(squares) / root_correction + eps), means, squares)
    for number in (1, 2):
        lstmfast.set_num_threads(number)
        stepped = _core.adam(w, g, m, v, *NUMBERS)
        assert stepped is not None
        assert_same_bits(list(stepped), [np.asarray(each) for each in expected])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf, "large"])
def test_a_step_that_is_not_finite_is_none(dtype: str, strange: Any) -> None:
    w, g, m, v = weights((7, 30), dtype)
    g[5, 3] = np.finfo(dtype).max if strange == "large" else strange
    assert _core.adam(w, g, m, v, *NUMBERS) is None


@pytest.mark.parametrize("dtype", DTYPES)
def test_norms(dtype: str) -> None:
    for shape in ((), (0, 3), (11, 13), (500, 200)):
        x = np.asarray(random(shape, dtype))
        assert _core.largest(x) == (np.abs(x).max() if x.size else 0)
        truth = float(np.sum(np.square(x, dtype=np.float64)))
        assert _core.sum_of_squares(x, 1.0) == pytest.approx(truth, rel=1e-13)
        assert _core.sum_of_squares(x, 8.0) == pytest.approx(truth / 64, rel=1e-13)
    assert _core.largest(np.array([1, np.nan, 2], dtype)) == np.inf
    assert _core.largest(np.array([1, -np.inf, 2], dtype)) == np.inf


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_dense_layers_products_have_the_same_bits_everywhere(dtype: str, threads: None) -> None:
    x, weight, bias, dz = (
        random(shape, dtype, seed) for seed, shape in enumerate([(700, 37), (45, 37), (45,), (700, 45)])
    )
    found = []
    for isa in ISAS:
        for number in (1, 2):
            lstmfast.set_num_threads(number)
            z = _core.dense_forward(x, weight, bias, isa)
            found.append([z, *_core.dense_backward(x, weight, dz, isa)])
            assert_same_bits(
                _core.dense_forward(x[20:33], weight, bias, isa), z[20:33]
            )  # whatever the others are
            assert_same_bits(_core.dense_forward(x, weight, None, isa) + bias, z)
    for others in found[1:]:
        assert_same_bits(others, found[0])
    tolerance: Any = {"rtol": 1e-4, "atol": 1e-4} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-12}
    truth = (x @ weight.T + bias, dz @ weight, dz.T @ x, dz.sum(axis=0))
    for ours, theirs in zip(found[0], truth, strict=True):
        np.testing.assert_allclose(ours, theirs, **tolerance)


def of(*shape: int, dtype: Any = "float32") -> Array:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("adam", (of(3), of(4), of(3), of(3), *NUMBERS), "expected arrays of one shape"),
        ("adam", (of(3), of(3), of(3), of(2), *NUMBERS), "expected arrays of one shape"),
        ("adam", (of(3), of(3, dtype="float64"), of(3), of(3), *NUMBERS), "gradient: expected an array"),
        ("adam", (of(3), of(6)[::2], of(3), of(3), *NUMBERS), "gradient: expected an array in C order"),
        ("adam", (of(3, dtype="int32"), of(3), of(3), of(3), *NUMBERS), "weight: expected an array"),
        ("largest", (of(3, dtype="int32"),), "x: expected an array"),
        ("largest", (of(3, 4).T,), "x: expected an array in C order"),
        ("sum_of_squares", (of(8)[::2], 1.0), "x: expected an array in C order"),
        ("dense_forward", (of(3), of(2, 3), None, "scalar"), "x, weight: expected two axes"),
        ("dense_forward", (of(4, 3), of(2, 4), None, "scalar"), "x: expected shape"),
        ("dense_forward", (of(4, 3), of(2, 3), of(3), "scalar"), "bias: expected shape"),
        ("dense_forward", (of(4, 3, dtype="float64"), of(2, 3), None, "scalar"), "x: expected an array"),
        ("dense_forward", (of(3, 4).T, of(2, 3), None, "scalar"), "x: expected an array in C order"),
        ("dense_forward", (of(4, 3), of(2, 3), None, "mmx"), "isa"),
        ("dense_backward", (of(4, 3), of(2, 3), of(4, 3), "scalar"), "dz: expected shape"),
        (
            "dense_backward",
            (of(4, 3), of(3, 2).T, of(4, 2), "scalar"),
            "weight: expected an array in C order",
        ),
        ("dense_backward", (of(4, 3), of(2, 3), None, "scalar"), "dz: expected an array"),
    ],
)
def test_what_could_lead_outside_of_memory_is_refused(name: str, arguments: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        getattr(_core, name)(*arguments)
