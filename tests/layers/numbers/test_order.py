"""The order of sums in docs/numerics.md, recomputed in NumPy with exact multiply-adds: the very bits."""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import lstmfast

from ...helpers import ISAS, Array, assert_same_bits, parts, random, random_state, random_x
from ...small.helpers import needs_fma
from . import exact, in_order

# NumPy computes what is compared, and does so in the environment of the process.
pytestmark = [needs_fma, pytest.mark.usefixtures("one_thread", "default_floats")]

# 135 terms of the weights' gradients: a group of 128, which ends within a step, and another.
T, B, I, H, P = 5, 27, 3, 5, 3

# Kind, options, and the step that recomputes it.
LAYERS: dict[str, tuple[str, dict[str, Any], in_order.Step]] = {
    "LSTM": ("LSTM", {}, in_order.lstm_step),
    "projection": ("LSTM", {"proj_size": P}, in_order.lstm_step),
    "GRU": ("GRU", {}, in_order.gru_step),
    "RNN": ("RNN", {}, in_order.rnn_step),
    "peepholes": ("LSTM", {"peephole": True}, in_order.lstm_step),
    "reset before": ("GRU", {"reset_after": False}, in_order.reset_before_step),
    "layer norm": ("LayerNormLSTM", {}, in_order.layer_norm_step),
}
WITH_BACKWARD = [name for name in LAYERS if name != "layer norm"]


def model_of(name: str, dtype: str, isa: str, hidden_size: int) -> Any:
    kind, options, _ = LAYERS[name]
    model = getattr(lstmfast, kind)(I, hidden_size, dtype=dtype, isa=isa, seed=3, **options)
    # Of all sizes, or 1 - y and the like would often be exact; and gains that are not 1.
    model.update(
        {key: random(value.shape, dtype, n) for n, (key, value) in enumerate(model.parameters.items())}
    )
    return model


def recomputed(name: str, model: Any, x: Array, state: Any) -> tuple[dict[str, Array], in_order.Pass]:
    weights = {key.removesuffix("_l0"): value for key, value in model.parameters.items()}
    h0, *c0 = (part[0] for part in parts(state))
    c0 = c0 or [np.zeros((len(h0), model.hidden_size), h0.dtype)]
    return weights, in_order.forward(LAYERS[name][2], weights, x, h0, c0[0])


@functools.cache
def expected_forward(name: str, dtype: str, hidden_size: int) -> in_order.Pass:
    """The same for every ISA, and so made once."""
    model = model_of(name, dtype, ISAS[0], hidden_size)
    return recomputed(name, model, random_x(model, 3, 2), random_state(model, 2))[1]


# For a row's sixteen chains: fewer numbers, and more; fractions take long.
@pytest.mark.parametrize(("dtype", "hidden_size"), [("float32", H), ("float32", 18), ("float64", H)])
@pytest.mark.parametrize("name", LAYERS)
def test_forward(name: str, dtype: str, isa: str, hidden_size: int) -> None:
    expected = expected_forward(name, dtype, hidden_size)
    model = model_of(name, dtype, isa, hidden_size)
    y, end = model(random_x(model, 3, 2), random_state(model, 2))
    assert_same_bits(y, expected.h[1:], "y")
    assert_same_bits(parts(end)[-1][0], (expected.c if isinstance(end, tuple) else expected.h)[-1], "state")


def arguments(model: Any) -> tuple[Array, Any, Array, Any]:
    dy = random((T, B, model.proj_size or H), model.dtype, 5)
    return random_x(model, T, B), random_state(model, B), dy, random_state(model, B, 7)


@functools.cache
def expected_backward(name: str, dtype: str) -> in_order.Gradients:
    model = model_of(name, dtype, ISAS[0], H)
    x, state, dy, dstate = arguments(model)
    weights, kept = recomputed(name, model, x, state)
    dh, *dc = (part[0] for part in parts(dstate))
    dc = dc or [np.zeros((B, H), dtype)]
    return in_order.backward(LAYERS[name][2], weights, kept, x, dy, dh, dc[0])


@pytest.mark.parametrize("name", WITH_BACKWARD)
def test_backward(name: str, dtype: str, isa: str) -> None:
    expected = expected_backward(name, dtype)
    model = model_of(name, dtype, isa, H)
    x, state, dy, dstate = arguments(model)
    grads = model.backward(model.forward(x, state)[2], dy, dstate)
    assert_same_bits(grads.x, expected.dx, "dx")
    for found, wanted in zip(parts(grads.state), (expected.dh0, expected.dc0), strict=False):
        assert_same_bits(found[0], wanted, "dstate")
    for key, found in grads.parameters.items():
        assert_same_bits(found, expected.weights[key.removesuffix("_l0")], key)


# And what recomputes them.


def test_fused_multiply_adds_of_floats() -> None:
    """Beside fractions: any numbers, and sums just beside the middle of two floats, of denormals as well."""
    rng = np.random.default_rng(0)
    count = 1000
    whole = np.ldexp(rng.integers(2**23, 2**24, (3, count)), rng.integers(-40, 40, (3, count)))
    # a * b is 1 - 2^-46, half of the last digit of c but for what float64 does not hold.
    a, b = np.full((2, count), [[1 + 2.0**-23], [1 - 2.0**-23]])
    c = rng.choice([-2, 2], count) * rng.integers(2**23, 2**24, count)
    few = rng.integers(1, 100, count)
    pieces = [whole, (a, b, c), (np.ldexp(a, -75), np.ldexp(b, -75), np.ldexp(few, -149))]
    x, y, z = (np.concatenate(piece).astype(np.float32) for piece in zip(*pieces, strict=True))
    fused = exact.fma(x, y, z)
    assert np.count_nonzero(fused != (x.astype(np.float64) * y + z).astype(np.float32)) > count / 2
    for p, q, r, got in zip(*(array.tolist() for array in (x, y, z, fused)), strict=True):
        assert float(exact.rounded(Fraction(p) * Fraction(q) + Fraction(r), np.float32)) == got


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_activations(name: str, dtype: str) -> None:
    count = 3000 if dtype == "float32" else 150
    rng = np.random.default_rng(1)
    sizes = np.exp(rng.uniform(-20, np.log(130 if dtype == "float32" else 800), count))
    x = np.concatenate([rng.choice([-1.0, 1.0], count) * sizes, [0.0, -0.0]]).astype(dtype)
    expected = getattr(exact, name)(x)
    for isa in ISAS:
        assert_same_bits(getattr(lstmfast._core, name)(x, isa), expected, isa)
