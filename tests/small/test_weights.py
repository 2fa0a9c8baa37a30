"""Weights of any size: what each kind makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import assert_same_bits, make, random_x
from .helpers import (
    LARGEST,
    LEAST,
    Int8Model,
    every_cell,
    every_weight_dtype,
    f32,
    needs_fma,
    plain_nan,
    quantized_parameters,
    trained,
    widened,
    with_numbers,
)

# NumPy computes what is compared, and does so in the environment of the process.
pytestmark = pytest.mark.usefixtures("default_floats")

LARGEST_BFLOAT16 = float(np.uint32(0x7F7F0000).view(np.float32))


def check(model: Any, weight_dtype: str, scale: float = 1.0) -> Any:
    """The parameters must be NumPy's, and the results those of the rounded weights; return the model made."""
    q = model.quantize(weight_dtype)  # numbers that are lost are counted, not warned of
    back = q.dequantize()
    assert_same_bits(dict(q.parameters), quantized_parameters(model, weight_dtype))
    x = (random_x(model, 3, 4) * scale).astype(np.float32)
    y = q(x)
    assert_same_bits(plain_nan(y), plain_nan(Int8Model(model)(x) if weight_dtype == "int8" else back(x)))
    return q


@needs_fma
@every_weight_dtype
@every_cell
def test_zeros(kind: str, proj_size: int, weight_dtype: str) -> None:
    model = make(kind, 3, 7, proj_size=proj_size)
    for name in (*model.parameters, None):
        weights = model.state_dict()
        for other, array in weights.items():
            if name in (other, None):
                array[...] = 0
        same = make(kind, 3, 7, proj_size=proj_size)
        same.load_state_dict(weights)
        q = check(same, weight_dtype)
        if name is not None:
            assert not q.parameters[name].any()
        if weight_dtype == "int8" and name is not None and name.startswith("weight"):
            assert_same_bits(q.parameters[f"{name}_scale"], np.full(len(weights[name]), LEAST))


@needs_fma
@every_weight_dtype
def test_rows_of_zeros_and_minus_zero(weight_dtype: str) -> None:
    model = trained("lstm", 5, 9)
    weights = model.state_dict()
    weights["weight_ih_l0"][[0, 7, 35]] = 0
    weights["weight_hh_l0"][[3, 7]] = -0.0
    model.load_state_dict(weights)
    q = check(model, weight_dtype)
    if weight_dtype != "int8":
        assert np.signbit(widened(q.parameters["weight_hh_l0"])[3]).all()


@needs_fma
@every_weight_dtype
@pytest.mark.parametrize("scale", [1e38, 1e30, 1e4, 1e-4, 1e-7, 1e-20, 1e-37, 1e-38, 1e-40, 1e-45])
def test_weights_of_one_size(kind: str, weight_dtype: str, scale: float) -> None:
    model = make(kind, 5, 9)
    for name in model.parameters:
        if name.startswith("weight"):
            w = model.parameters[name]
            model.update({name: np.float64(w) * scale / np.abs(w).max()})
    check(model, weight_dtype)
    check(model, weight_dtype, scale=1e-30)


@needs_fma
@every_weight_dtype
def test_rows_of_every_size(kind: str, weight_dtype: str) -> None:
    """From 1e-45 to 1e38 in one matrix: of int8 each row has its own scale."""
    model = make(kind, 5, 84)
    rows = len(model.parameters["weight_ih_l0"])
    sizes = np.exp(np.linspace(np.log(1e-45), np.log(3e37), rows))[:, np.newaxis]
    for name in ("weight_ih_l0", "weight_hh_l0"):
        model.update({name: model.parameters[name].astype(np.float64) * sizes * 10})
    q = check(model, weight_dtype)
    if weight_dtype == "int8":
        scale = q.parameters["weight_ih_l0_scale"]
        loud = np.abs(q.parameters["weight_ih_l0"]).max(axis=1) == 127
        assert loud[scale > LEAST].all()
        assert not q.parameters["weight_ih_l0"][0].any()
        assert (scale >= LEAST).all()


@needs_fma
def test_int8_of_numbers_in_the_middle() -> None:
    """Ties go to even; the largest of each row is 127 or -127."""
    numbers = np.r_[127, np.arange(-126.5, 127), -127, np.nextafter(np.float32(0.5), np.float32(1))]
    model = make("rnn_tanh", len(numbers), 2)
    model.update({"weight_ih_l0": [numbers, -numbers]})
    q = check(model, "int8")
    assert_same_bits(q.parameters["weight_ih_l0_scale"], np.ones(2, np.float32))
    expected = np.r_[127, np.rint(np.arange(-126.5, 127)), -127, 1].astype(np.int8)
    assert_same_bits(q.parameters["weight_ih_l0"], np.stack([expected, -expected]))


def test_no_int8_is_minus_128() -> None:
    """Whatever the row: the quotient of its largest number and the rounded scale is never more than 127.5."""
    generator = np.random.default_rng(0)
    sizes = np.exp(generator.uniform(-87, 88, 400))[:, np.newaxis]
    numbers = (generator.standard_normal((400, 3)) / 4 * sizes).astype(np.float32)
    model = make("rnn_tanh", 3, 400)
    model.update({"weight_ih_l0": numbers, "weight_hh_l0": np.repeat(numbers, 134, axis=1)[:, :400]})
    q = model.quantize("int8")
    for name in ("weight_ih_l0", "weight_hh_l0"):
        largest = np.abs(q.parameters[name].astype(int)).max(axis=1)
        assert (largest <= 127).all()
        assert (largest[np.abs(numbers).max(axis=1) > 2e-36] == 127).all()


@pytest.mark.parametrize("sign", [1, -1])
@every_weight_dtype
def test_the_largest_float_comes_back_finite(weight_dtype: str, sign: int) -> None:
    """127 times the rounded scale of int8 would be a bit more than float32 holds."""
    model = with_numbers([sign * LARGEST, 1.0])
    q = check(model, weight_dtype)
    back = q.dequantize().parameters["weight_ih_l0"]
    assert np.isfinite(back).all()
    assert back[0, 0] == pytest.approx(sign * (65504 if weight_dtype == "float16" else LARGEST), rel=4e-3)


# float16 and bfloat16 at their ends.


def bits_of(weight_dtype: str, numbers: Any, dtype: str = "float32") -> tuple[list[int], int]:
    """What becomes of these numbers: their bits, and how many were too large."""
    model = with_numbers(numbers, dtype)
    q = check(model, weight_dtype)
    bits = q.parameters["weight_ih_l0"].ravel().view(np.uint16)[: len(numbers)].tolist()
    others = {name: count for name, count in q.saturated.items() if name != "weight_ih_l0"}
    assert others == {"weight_hh_l0": 0}
    return bits, q.saturated["weight_ih_l0"]


def test_largest_numbers_of_float16(dtype: str) -> None:
    assert bits_of("float16", [65504, -65504, 65503, 65488, 65487.5], dtype) == (
        [0x7BFF, 0xFBFF, 0x7BFF, 0x7BFE, 0x7BFE],
        0,
    )
    for large in (65520, 65536, 1e5, 1e38, LARGEST):
        assert bits_of("float16", [large, 1.0, -large, 0.0], dtype) == ([0x7BFF, 0x3C00, 0xFBFF, 0], 2)


def test_smallest_numbers_of_float16(dtype: str) -> None:
    tiny = 2.0**-24  # the smallest there is
    assert bits_of("float16", [tiny, -tiny, 2.0**-14, 2.0**-15, 3 * tiny], dtype) == (
        [1, 0x8001, 0x0400, 0x0200, 3],
        0,
    )
    below, above = (float(np.nextafter(np.float32(tiny / 2), np.float32(end))) for end in (0, 1))
    assert bits_of("float16", [tiny / 2, below, above, -tiny / 2, 1e-8, -1e-30, 1e-45], dtype) == (
        [0, 0, 1, 0x8000, 0, 0x8000, 0],
        0,
    )


def test_ties_of_float16(dtype: str) -> None:
    ulp = 2.0**-10
    numbers = [1 + ulp / 2, 1 + 3 * ulp / 2, 1 + 0.5002 * ulp, 2 - ulp / 2, -1 - ulp / 2]
    assert bits_of("float16", numbers, dtype) == ([0x3C00, 0x3C02, 0x3C01, 0x4000, 0xBC00], 0)


def test_largest_numbers_of_bfloat16(dtype: str) -> None:
    tie = np.array([0x7F7F7FFF, 0x7F7F8000, 0x7F7F8001], np.uint32).view(np.float32).tolist()
    assert bits_of("bfloat16", [LARGEST_BFLOAT16, -LARGEST_BFLOAT16, tie[0], -tie[0]], dtype) == (
        [0x7F7F, 0xFF7F, 0x7F7F, 0xFF7F],
        0,
    )
    for large in (tie[1], tie[2], LARGEST):
        assert bits_of("bfloat16", [large, 1.0, -large, 0.0], dtype) == ([0x7F7F, 0x3F80, 0xFF7F, 0], 2)


def test_smallest_numbers_of_bfloat16(dtype: str) -> None:
    tiny = 2.0**-133
    below, above = (float(np.nextafter(np.float32(tiny / 2), np.float32(end))) for end in (0, 1))
    assert bits_of("bfloat16", [tiny, -tiny, tiny / 2, below, above, 1e-45, -1e-45, 2.0**-126], dtype) == (
        [1, 0x8001, 0, 0, 1, 0, 0x8000, 0x0080],
        0,
    )


def test_ties_of_bfloat16(dtype: str) -> None:
    ulp = 2.0**-7
    numbers = [1 + ulp / 2, 1 + 3 * ulp / 2, 1 + 0.5002 * ulp, 2 - ulp / 2, -1 - ulp / 2]
    assert bits_of("bfloat16", numbers, dtype) == ([0x3F80, 0x3F82, 0x3F81, 0x4000, 0xBF80], 0)


def test_every_number_of_16_bits_is_kept() -> None:
    """And widened by every ISA as NumPy does: a unit matrix, so that each comes out by itself."""
    bits = np.arange(1 << 16, dtype=np.uint16)
    for weight_dtype, finite in (
        ("float16", np.isfinite(bits.view(np.float16))),
        ("bfloat16", (bits & 0x7F80) != 0x7F80),
    ):
        numbers = bits[finite].view(np.float16) if weight_dtype == "float16" else bits[finite]
        w = widened(numbers)
        H = 32
        I = -(-len(w) // H)
        matrix = np.zeros((H, I), np.float32)
        matrix.ravel()[: len(w)] = w
        for isa in lstmfast.available_isas():
            model = make("rnn_relu", I, H, bias=False, isa=isa)
            model.load_state_dict({"weight_ih_l0": matrix, "weight_hh_l0": np.zeros((H, H))})
            q = model.quantize(weight_dtype)
            assert dict(q.saturated) == {"weight_ih_l0": 0, "weight_hh_l0": 0}
            assert_same_bits(q.parameters["weight_ih_l0"].ravel()[: len(w)], numbers)
            assert_same_bits(q.dequantize().parameters["weight_ih_l0"], matrix)
            for sign in (1, -1):
                # One column for each step: y is its positive, or its negative numbers.
                y, _ = q(sign * np.eye(I, dtype=np.float32)[:, np.newaxis])
                assert_same_bits(y[:, 0] + np.float32(0), np.maximum(sign * matrix.T, 0) + np.float32(0))


@every_weight_dtype
def test_saturated_names_all_weights(weight_dtype: str) -> None:
    model = make("lstm", 3, 5, num_layers=2, bidirectional=True, proj_size=2)
    names = [name for name in model.parameters if name.startswith("weight")]
    expected = {}
    for n, name in enumerate(names):
        array = model.parameters[name].copy()
        array.ravel()[: n + 1] = 3.4e38
        model.update({name: array})
        expected[name] = 0 if weight_dtype == "int8" else min(n + 1, array.size)
    q = model.quantize(weight_dtype)
    assert list(q.saturated) == names
    assert dict(q.saturated) == expected
    if weight_dtype != "int8":
        assert widened(q.parameters[names[0]]).max() == (
            65504 if weight_dtype == "float16" else LARGEST_BFLOAT16
        )


@every_weight_dtype
def test_biases_stay_as_they_are(kind: str, weight_dtype: str) -> None:
    model = make(kind, 3, 5)
    numbers = f32([1e38, -1e-45, 1 + 2.0**-23, 65505, 0])
    biases = {name: np.resize(numbers, len(model.parameters[name])) for name in ("bias_ih_l0", "bias_hh_l0")}
    model.update(biases)
    q = model.quantize(weight_dtype)
    for name, array in biases.items():
        assert_same_bits(q.parameters[name], array)
        assert_same_bits(q.dequantize().parameters[name], array)
    assert set(q.saturated) == {"weight_ih_l0", "weight_hh_l0"}
