"""The kernels' sigmoid and tanh: errors, saturation, NaN, and the same bits on every ISA.

float32 is compared with float64, which is a million times finer; float64 with `decimal`, which has as many
digits as are asked for. An error in ULP is in spacings of floats at the true value.

All 2^32 floats take minutes: done once for each change of cpp/kernels/generic/math.h, and the worst arguments
that were found are in WORST. Here: every 4001st float, every 251st where the functions are not yet constant,
and the edges of every exponent.
"""

from __future__ import annotations

import functools
import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

from lstmfast import _core

from ..helpers import DTYPES, ISAS, Array, assert_same_bits

# NumPy computes what is compared, and does so in the environment of the process.
pytestmark = pytest.mark.usefixtures("default_floats")

FUNCTIONS = ("sigmoid", "tanh")
MAX_ULP = {"sigmoid": 2.0, "tanh": 2.5}
# Where one formula hands over to another, or saturates; and the worst arguments of all floats.
CORNERS = [0.34657, 1.0397, 9.01, 9.0109, 10.0, 16.6355, 17.3287, 18.0, 87.3366, 88.7228, 103.972, 105.0]
WORST = {
    "sigmoid": [-16.642534, -16.289616, 7.859211, -1.1101483, -0.000344991800, -0.00165534019, -87.34199],
    "tanh": [0.00776717532, -0.00776717532],
}


def apply(name: str, x: Array, isa: str) -> Array:
    return getattr(_core, name)(x, isa)  # type: ignore[no-any-return]


def floats(first: float, last: float, stride: int) -> Array:
    """Every stride-th float32 from `first` to `last`, both positive, and their negatives."""
    low, high = (int(np.float32(value).view(np.uint32)) for value in (first, last))
    positive = np.arange(low, high + 1, stride, dtype=np.uint32).view(np.float32)
    return np.concatenate([positive, -positive])


def neighbours(values: list[float], count: int, dtype: str) -> Array:
    """`values`, their negatives, and `count` numbers on either side of each."""
    word = np.dtype(dtype).str.replace("f", "u")
    bits = np.array(values, dtype).view(word)[:, None] + np.arange(-count, count + 1).astype(word)
    positive = bits.ravel().view(dtype)
    return np.concatenate([positive, -positive])


@functools.cache
def samples(name: str) -> Array:
    """Finite float32 arguments."""
    exponents = np.arange(255, dtype=np.uint32)[:, None] << np.uint32(23)
    edges = (exponents | np.r_[0:16, 2**23 - 16 : 2**23].astype(np.uint32)).ravel().view(np.float32)
    tiny = np.arange(1, 2000, dtype=np.uint32).view(np.float32)
    largest = float(np.finfo(np.float32).max)
    pieces = [
        floats(0.0, largest, 4001),
        floats(2.0**-10, 110.0, 251),
        edges,
        -edges,
        tiny,
        -tiny,
        neighbours(CORNERS, 300, "float32"),
        np.array(WORST[name], np.float32),
    ]
    return np.concatenate(pieces)


@functools.cache
def truth(name: str) -> Array:
    x: Array = samples(name).astype(np.float64)
    if name == "tanh":
        return np.tanh(x)
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (1.0 + e)


def worst(name: str, y: Array) -> tuple[float, float]:
    """The largest error in ULP, and its argument."""
    expected = truth(name)
    # 24 bits down from the leading one, but never finer than the smallest denormal.
    ulp = np.ldexp(1.0, np.maximum(np.frexp(expected)[1] - 24, -149))
    error = np.abs(y.astype(np.float64) - expected) / ulp
    at = int(error.argmax())
    return float(error[at]), float(samples(name)[at])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_in_float32(name: str, isa: str) -> None:
    error, x = worst(name, apply(name, samples(name), isa))
    assert error <= MAX_ULP[name], f"{error:.4f} ULP at {x!r}"


def exact(name: str, x: float) -> Decimal:
    """The true value to 40 digits and more."""
    with localcontext() as context:
        context.prec = 60
        context.Emin, context.Emax = -(10**6), 10**6
        d = Decimal(x)
        if name == "sigmoid":
            return 1 / (1 + (-d).exp())
        if abs(x) > 80:  # 1 to more digits than these
            return Decimal(1).copy_sign(d)
        if abs(x) < 1e-9:  # where exp(2x) - 1 loses the digits that x has; the next term is below 1e-37
            return d - d**3 / 3
        e = (2 * d).exp()
        return (e - 1) / (e + 1)


@functools.cache
def doubles() -> Array:
    generator = np.random.default_rng(0)
    pieces = [
        generator.uniform(-40, 40, 3000),
        generator.uniform(-1, 1, 1500),
        generator.choice([-1.0, 1.0], 1500) * np.exp(generator.uniform(np.log(1e-320), np.log(750), 1500)),
        generator.uniform(-750, -700, 500),
        generator.uniform(-38, -36, 1000),
        neighbours([*CORNERS, 19.06, 36.7368, 37.4299, 40.0, 708.396, 709.78, 745.13, 750.0], 8, "float64"),
        np.ldexp(1.0, np.arange(-1074, 1023, 13)),
    ]
    return np.concatenate(pieces)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_in_float64(name: str) -> None:
    """On one ISA: the next test says that all have the same bits."""
    x = doubles()
    y = apply(name, x, ISAS[0])
    error, at = 0.0, 0.0
    for argument, value in zip(x.tolist(), y.tolist(), strict=True):
        expected = exact(name, argument)
        # The correctly rounded value may be the next power of two: then its ULP is the larger one.
        here = float(abs(Decimal(value) - expected) / Decimal(math.ulp(float(expected))))
        if here > error:
            error, at = here, argument
    assert error <= MAX_ULP[name], f"{error:.4f} ULP at {at!r}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_same_bits_on_every_isa(name: str) -> None:
    for x in (samples(name), doubles()):
        first = apply(name, x, ISAS[0])
        for isa in ISAS[1:]:
            assert_same_bits(apply(name, x, isa), first, f"{isa} and {ISAS[0]}")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name: str, dtype: str, isa: str) -> None:
    inf, nan = math.inf, math.nan
    x = np.array([0.0, -0.0, inf, -inf, nan, -nan], dtype)
    expected = [0.5, 0.5, 1.0, 0.0, nan, nan] if name == "sigmoid" else [0.0, -0.0, 1.0, -1.0, nan, nan]
    # Each in every lane, among other numbers.
    for position in range(17):
        row = np.ones(17, dtype)
        for value, wanted in zip(x, expected, strict=True):
            row[position] = value
            y = apply(name, row, isa)
            np.testing.assert_array_equal(y[position], wanted)
            assert np.signbit(y[position]) == np.signbit(wanted) or math.isnan(wanted)
            assert np.isfinite(np.delete(y, position)).all()
            assert len(set(np.delete(y, position).tolist())) == 1


def test_nan_of_any_payload_stays_nan(dtype: str, isa: str) -> None:
    payloads = np.array([1, 2, 12345, 2**21, 2**22, 2**22 + 1, 2**23 - 1])
    if dtype == "float32":
        bits = 0x7F800000 | payloads.astype(np.uint32)
        x = np.concatenate([bits, bits | 0x80000000]).astype(np.uint32).view(np.float32)
    else:
        wide = 0x7FF0000000000000 | (payloads.astype(np.uint64) << np.uint64(29)) | np.uint64(1)
        x = np.concatenate([wide, wide | np.uint64(1 << 63)]).view(np.float64)
    assert np.isnan(x).all()
    for name in FUNCTIONS:
        assert np.isnan(apply(name, x, isa)).all()


@pytest.mark.parametrize(
    ("dtype", "sigmoid_zero", "sigmoid_one", "tanh_one"),
    # Beyond these the true value is nearer to 0 (or 1) than to any other number of the dtype.
    [("float32", -103.98, 17.33, 9.011), ("float64", -745.14, 37.43, 19.062)],
)
def test_saturation(dtype: str, isa: str, sigmoid_zero: float, sigmoid_one: float, tanh_one: float) -> None:
    largest = float(np.finfo(dtype).max)

    def beyond(limit: float) -> Array:
        exponents = np.linspace(1e-6, math.log(largest / abs(limit)) * (1 - 1e-9), 5000)
        return (limit * np.exp(exponents)).astype(dtype)

    # One ULP of the last number before the limit may be the rounding's.
    tolerance = float(np.finfo(dtype).epsneg)
    smallest = float(np.finfo(dtype).smallest_subnormal)
    assert (apply("sigmoid", beyond(sigmoid_zero), isa) <= smallest).all()
    assert (apply("sigmoid", beyond(2 * sigmoid_zero), isa) == 0).all()
    assert (apply("sigmoid", beyond(sigmoid_one), isa) >= 1 - tolerance).all()
    assert (apply("sigmoid", beyond(2 * sigmoid_one), isa) == 1).all()
    assert (apply("tanh", beyond(tanh_one), isa) >= 1 - tolerance).all()
    assert (apply("tanh", beyond(1.15 * tanh_one), isa) == 1).all()


def test_range_and_symmetry(isa: str) -> None:
    y = apply("sigmoid", samples("sigmoid"), isa)
    assert y.min() == 0
    assert y.max() == 1
    x = samples("tanh")
    y = apply("tanh", x, isa)
    assert np.abs(y).max() == 1
    assert_same_bits(apply("tanh", -x, isa), -y)


def test_small_numbers_are_their_own_tanh(isa: str) -> None:
    """|tanh x - x| < |x|^3 / 3, less than half an ULP below 2^-13; denormals are not flushed."""
    x = samples("tanh")
    x = x[np.abs(x) < 2.0**-13]
    assert np.count_nonzero(x) > 100_000
    y = apply("tanh", x, isa)
    assert np.abs(y.view(np.int32) - x.view(np.int32)).max() <= 1
    denormal = np.abs(x) < np.finfo(np.float32).tiny
    assert_same_bits(y[denormal], x[denormal])


@pytest.mark.parametrize("step", [1, 1000])
def test_sigmoid_never_falls(isa: str, step: int) -> None:
    """Between neighbours, and over the whole range."""
    if step == 1:
        for corner in (*CORNERS, *map(abs, WORST["sigmoid"])):
            bits = int(np.float32(corner).view(np.uint32))
            x = np.arange(bits - 20_000, bits + 20_000, dtype=np.uint32).view(np.float32)
            assert (np.diff(apply("sigmoid", x, isa)) >= 0).all()
            assert (np.diff(apply("sigmoid", -x, isa)) <= 0).all()
    else:
        x = np.sort(samples("sigmoid"))
        assert (np.diff(apply("sigmoid", x, isa)) >= 0).all()


@pytest.mark.parametrize(("name", "limit"), [("sigmoid", 17.3288), ("tanh", 9.01092)])
def test_saturated_stays_saturated(name: str, limit: float, isa: str) -> None:
    """All floats from where 1 is the nearest float to the true value, to where that is long so."""
    x = floats(limit, 1.3 * limit, 1)
    x = x[: len(x) // 2]
    assert len(x) > 2_000_000
    assert (apply(name, x, isa) == 1).all()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_length_and_offset(name: str, dtype: str, isa: str) -> None:
    """Tails of a vector get what whole vectors get, wherever the array begins."""
    x = np.linspace(-3, 3, 101, dtype=dtype)
    whole = apply(name, x, isa)
    before = x.copy()
    for length in range(36):
        for begin in (0, 1, 5):
            assert_same_bits(apply(name, x[begin : begin + length], isa), whole[begin : begin + length])
    assert_same_bits(x, before)
