"""int8 at its ends: the bits of the NumPy model on every ISA, whatever the numbers.

The sums of products are whole numbers and must be exact: with worst-case inputs, all of them +-127, and with
more terms than are summed at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ..helpers import Array, assert_same_bits, has_memory, make, parts, random, random_state, random_x
from .helpers import Int8Model, every_cell, f32, needs_fma, plain_nan, trained
from .int8 import Compared, check

# default_floats: NumPy computes what is compared, and does so in the environment of the process.
pytestmark = [needs_fma, pytest.mark.usefixtures("one_thread", "default_floats")]


# The largest sums that there are.


def signs(pattern: str, shape: tuple[int, int]) -> Array:
    """+1 and -1 in a pattern over the last axis, another in every row."""
    rows, K = shape
    k, r = np.arange(K), np.arange(rows)[:, np.newaxis]
    if pattern == "all alike":
        return np.broadcast_to(np.where(r % 2 == 0, 1.0, -1.0), shape)
    if pattern == "by turns":
        return np.where((k + r) % 2 == 0, 1.0, -1.0)
    if pattern == "in pairs":
        return np.where((k // 2 + r) % 2 == 0, 1.0, -1.0)
    if pattern == "halves":  # a sum goes far up and comes back
        return np.where((k < K // 2) ^ (r % 2 == 0), 1.0, -1.0)
    return np.random.default_rng(0).choice([-1.0, 1.0], shape)


PATTERNS = ("all alike", "by turns", "in pairs", "halves", "random")
LARGE = (32766, 32767, 32768, 32769, 32771, 40000, 65536, 65537, 70001)


def loudest(kind: str, I: int, H: int, pattern: str, proj_size: int = 0) -> Any:
    """A model without bias whose every weight is +-127 as a whole number, and whose sums are not too large.

    Of a relu RNN h is the sum itself.
    """
    model = make(kind, I, H, bias=False, proj_size=proj_size)
    weights = {}
    for name, array in model.parameters.items():
        weights[name] = signs(pattern, array.shape) / (array.shape[1] if name.endswith("ih_l0") else 1)
    model.load_state_dict(weights)
    for array in Int8Model(model).parameters.values():
        assert array.dtype == np.float32 or (np.abs(array) == 127).all()
    return model


@pytest.mark.parametrize("I", LARGE)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_largest_sums_of_the_input(pattern: str, I: int) -> None:
    """Every product is 127 * 127: up to 2**29 in 32 bits, and then more chunks."""
    for kind in ("rnn_relu", "lstm"):
        model = loudest(kind, I, 3, pattern)
        rows = np.concatenate([signs(other, (2, I)) for other in (pattern, "all alike", "by turns")])
        x = np.float32(0.7) * np.stack([rows, -rows]).astype(np.float32)  # T=2, B=6
        compared = Compared(model)
        y, _ = compared.check(x)
        if kind == "rnn_relu":
            # |x| times the sum of all |weights|, as it must be but for rounding.
            assert y[0].max() == pytest.approx(0.7, rel=1e-5)
        for row in (0, 3):
            compared.check(x[:, row : row + 1].copy())


@pytest.mark.parametrize("together", [1, 2, 6, 7, 13])
def test_largest_sums_in_tiles(together: int) -> None:
    """As many rows as a pass has at once, and panels one by one, two by two, full or not."""
    for H in (1, 5, 17, 40):
        model = loudest("rnn_relu", 3000, H, "by turns")
        x = random((1, together, 1)) * f32(signs("by turns", (together, 3000)))
        y, _ = check(model, x.astype(np.float32))
        assert y.max() > 0.1


@pytest.mark.parametrize("pattern", PATTERNS)
def test_largest_sums_of_the_state(pattern: str) -> None:
    H = 1500
    model = loudest("rnn_relu", 1, H, pattern)
    state = np.float32(3) * f32(signs(pattern, (5, H)))[np.newaxis]
    y, _ = check(model, np.zeros((1, 5, 1), np.float32), state)
    assert y.max() == pytest.approx(3 * H, rel=1e-5)


@pytest.mark.parametrize("H", [32767, 32768, 32769, 33000, 40001])
def test_largest_sums_of_the_projection(H: int) -> None:
    """All units alike, so that what is projected is +-127 throughout, over more than one chunk."""
    model = loudest("lstm", 1, H, "all alike", proj_size=2)
    alike = {name: np.ones_like(w) for name, w in model.parameters.items() if "hr" not in name}
    model.update(alike)
    x = f32([[[0.5], [-0.5], [0.001]]])
    state = (np.zeros((1, 3, 2), np.float32), np.full((1, 3, H), 2, np.float32))
    y, _ = check(model, x, state)
    assert np.abs(y).max() > H / 4
    check(model, x[:, :1].copy())


def test_long_rows_beside_long_rows(kind: str) -> None:
    """Rows that do not fit in the scratch together with others, of every number."""
    for I in (5000, 11000, 21000, 32768):
        model = make(kind, I, 9)
        x, compared = random((2, 7, I), scale=0.05), Compared(model)
        for B in (1, 2, 7):
            compared.check(x[:, :B].copy(), random_state(model, B))


# Numbers that are none, and those at the ends of float32.


@every_cell
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_with_nan_or_infinity(kind: str, proj_size: int, value: float) -> None:
    """It is NaN from that step on; no other row is."""
    model = trained(kind, 5, 19, num_layers=2, proj_size=proj_size)
    x, state = random_x(model, 6, 14), random_state(model, 14)
    clean, _ = Int8Model(model)(x, state)
    assert np.isfinite(clean).all()
    for row, t, feature in ((3, 2, 0), (7, 0, 4), (8, 5, 2)):
        x[t, row, feature] = value
        clean[t:, row] = np.nan
    y, _ = check(model, x, state)
    assert_same_bits(plain_nan(y), clean)


@every_cell
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_state_with_nan_or_infinity(kind: str, proj_size: int, value: float) -> None:
    model = trained(kind, 5, 19, num_layers=2, proj_size=proj_size)
    x, state = random_x(model, 6, 9), random_state(model, 9)
    clean, _ = Int8Model(model)(x, state)
    h = parts(state)[0]
    h[1, 2, -1] = h[0, 5, 0] = value  # of the second layer, and of the first
    clean[:, [2, 5]] = np.nan
    y, _ = check(model, x, state)
    assert_same_bits(plain_nan(y), clean)
    if has_memory(kind):
        state = random_state(model, 9)
        state[1][0, 4, 7] = value
        y, _ = check(model, x, state)
        assert np.isfinite(np.delete(y, 4, axis=1)).all()
        assert np.isnan(y).any() == np.isnan(value)


def test_nan_past_the_end_or_before_a_mark(isa: str) -> None:
    model = trained("lstm", 5, 19, num_layers=2, bidirectional=True, isa=isa)
    q = model.quantize("int8")
    x = random_x(model, 6, 4)
    expected = q(x, lengths=[6, 3, 0, 5])
    for spoilt in (np.nan, np.inf):
        x[3:, 1] = x[:, 2] = x[5:, 3] = spoilt
        assert_same_bits(q(x, lengths=[6, 3, 0, 5]), expected)
    one = trained("lstm", 5, 19, num_layers=2, isa=isa).quantize("int8")
    x = random_x(model, 6, 1)
    reset = np.zeros((6, 1), bool)
    reset[3] = True
    whole, end = one(x, reset=reset)
    x[:3] = np.nan
    y, spoilt_end = one(x, reset=reset)
    assert np.isnan(y[:3]).all()
    assert_same_bits((y[3:], spoilt_end), (whole[3:], end))


@pytest.mark.parametrize("scale", [3e38, 1e38, 1e30, 1e20, 1e-20, 1e-30, 1e-37, 1e-38, 1e-40, 1e-44, 0.0])
def test_rows_of_every_size(kind: str, scale: float) -> None:
    """Down to subnormal numbers, which are not flushed to zero, and up to where float32 ends."""
    model = trained(kind, 5, 19)
    x = random_x(model, 3, 9)
    x = np.float32(scale) * (x / np.abs(x).max())
    check(model, x, random_state(model, 9))
    # Where the weights are so small that the largest inputs count no more than others.
    small = make(kind, 5, 19)
    shrunk = small.parameters["weight_ih_l0"].astype("float64") / (scale or 1)
    small.update({"weight_ih_l0": np.clip(shrunk, -1e38, 1e38)})
    check(small, x)


def test_ties_go_to_even() -> None:
    """v / s of exactly n + 1/2, and just beside it."""
    I = 255
    model = make("rnn_relu", I, I, bias=False)
    identity = 127 * np.eye(I)  # of which the scale is 1, too
    model.load_state_dict({"weight_ih_l0": identity, "weight_hh_l0": identity * 0})
    halves = (np.arange(I) - 127) / 2  # up to 63.5
    x = f32([halves, np.nextafter(f32(halves), np.float32(np.inf)), -halves])
    x[:, 0] = 127  # the scale is 1
    y, _ = check(model, x[np.newaxis])
    assert_same_bits(y[0, 0, 1:], f32(127 * np.maximum(np.rint(halves[1:]), 0)))


def test_a_sum_of_nothing_is_the_bias() -> None:
    """Rows of weights that are zeros, and inputs that are."""
    model = trained("rnn_relu", 5, 19)
    weights = model.state_dict()
    weights["weight_ih_l0"][::2] = 0
    weights["weight_hh_l0"][::2] = 0
    model.load_state_dict(weights)
    y, _ = check(model, random_x(model, 4, 3), random_state(model, 3))
    bias = np.maximum(weights["bias_ih_l0"] + weights["bias_hh_l0"], 0)
    assert_same_bits(y[:, :, ::2], np.broadcast_to(bias[::2], (4, 3, 10)).copy())
    y, _ = check(model, np.zeros((1, 3, 5), np.float32))
    assert_same_bits(y[0], np.broadcast_to(bias, (3, 19)).copy())


@every_cell
def test_states_beyond_one(kind: str, proj_size: int) -> None:
    """An h of LSTM's own is within [-1, 1]; the user's may be anything."""
    model = trained(kind, 5, 19, num_layers=2, bidirectional=True, proj_size=proj_size)
    for scale in (2, 50, 1e6, 1e30):
        state = random_state(model, 6)
        state = tuple(np.float32(scale) * half for half in parts(state))
        check(model, random_x(model, 4, 6), state if has_memory(kind) else state[0])


def test_a_relu_that_grows_out_of_float32(isa: str) -> None:
    """Numbers become infinite, and then NaN; the model and the code agree from step to step."""
    model = make("rnn_relu", 2, 5)
    model.update({"weight_hh_l0": np.full((5, 5), 3e4), "weight_ih_l0": np.full((5, 2), 1e3)})
    x = np.abs(random((12, 3, 2)))
    x[:, 1] = 0
    y, _ = check(model, x)
    assert np.isinf(y).any()
    assert np.isnan(y).any()
    assert np.isfinite(y[:4]).all()
