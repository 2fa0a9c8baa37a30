"""Bad input: each message names the argument, what was expected and what came. Nothing wrong goes through."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import random

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402

import lstmfast.jax  # noqa: E402

from .helpers import B, H, I, T, params_of  # noqa: E402

PARAMS = params_of(lstmfast.LSTM(I, H, seed=0))
X = random((T, B, I))
HALF = np.zeros((1, B, H), np.float32)
FLOAT64 = np.zeros((T, B, I))


def without(*names: str, **changed: Any) -> dict[str, Any]:
    return {name: array for name, array in (PARAMS | changed).items() if name not in names}


WIDE = np.zeros((4 * H, H + 1), np.float32)

BAD: list[tuple[type[Exception], dict[str, Any], str]] = [
    (TypeError, {"params": [1]}, "params: expected a mapping from names to arrays, got a list of length 1"),
    (ValueError, {"params": {}}, "params: expected 'weight_ih_l0' with two axes, as LSTM has, got the names"),
    (ValueError, {"params": without("bias_hh_l0")}, "params: expected the names .* missing bias_hh_l0"),
    (ValueError, {"params": without(extra=HALF)}, "params: expected the names .* unexpected extra"),
    (
        ValueError,
        {"params": without(weight_hh_l0=WIDE)},
        r"params\['weight_ih_l0'\]: expected 3\*8 or 4\*8 rows",
    ),
    (
        ValueError,
        {"params": without(bias_ih_l0=HALF)},
        r"params\['bias_ih_l0'\]: expected shape \(28,\) .*, got \(1, 3, 7\)",
    ),
    (
        TypeError,
        {"params": without(bias_ih_l0=np.zeros(4 * H, np.int32))},
        r"bias_ih_l0'\]: .* float32 or float64, got one of int32",
    ),
    (
        TypeError,
        {"params": without(bias_ih_l0=object())},
        r"bias_ih_l0'\]: expected an array, got an object of type object",
    ),
    (
        ValueError,
        {"params": without(bias_ih_l0=np.zeros(4 * H))},
        r"bias_ih_l0'\]: expected float32, .*, got float64",
    ),
    (
        ValueError,
        {"x": FLOAT64},
        "x: expected float32, for JAX has float64 only after .*enable_x64.*, got float64",
    ),
    (TypeError, {"x": X.astype(np.float16)}, "x: .* float32 or float64, got one of float16; cast"),
    (
        TypeError,
        {"x": jnp.asarray(X, jnp.bfloat16)},
        "x: expected an array of float32 or float64, got one of bfloat16",
    ),
    (TypeError, {"x": X.astype(np.int32)}, "x: expected an array of float32 or float64, got one of int32"),
    (TypeError, {"x": np.ma.masked_array(X, X > 0)}, "x: .*got a masked array"),
    (
        ValueError,
        {"x": X[..., 1:]},
        r"x: expected shape \[T, B, 5\] or, unbatched, \[T, 5\] .*, got \(6, 3, 4\)",
    ),
    (ValueError, {"x": X[0, 0]}, r"x: expected shape .*, got \(5,\)"),
    (ValueError, {"x": X[..., 1:], "batch_first": True}, r"x: expected shape \[B, T, 5\]"),
    (TypeError, {"batch_first": 1}, "batch_first: expected True or False, got 1"),
    (TypeError, {"reverse": None}, "reverse: expected True or False, got None"),
    (TypeError, {"recompute": "no"}, "recompute: expected True or False, got 'no'"),
    (TypeError, {"state": HALF}, r"state: expected a pair \(h_0, c_0\), got an "),
    (
        ValueError,
        {"state": (HALF, HALF[:, 1:])},
        r"state: c_0: .* \(1, 3, 7\) \[L\*D, B, H\], got \(1, 2, 7\)",
    ),
    (
        ValueError,
        {"state": (HALF, HALF), "x": X[:, 0]},
        r"state: h_0: .* \(1, 7\) \[L\*D, H\], got \(1, 3, 7\)",
    ),
    (ValueError, {"state": (HALF.astype(np.float64), HALF)}, "state: h_0: expected float32, .*enable_x64"),
    (ValueError, {"lengths": [T, T + 1, 0]}, r"lengths: expected integers from 0 to 6 .*, got 7 at \[1\]"),
    (ValueError, {"lengths": [T]}, r"lengths: expected shape \(3,\) \[B\], got \(1,\)"),
    (TypeError, {"lengths": [1.0, 2.0, 3.0]}, "lengths: expected an array of integers"),
    (TypeError, {"reset": np.zeros((T, B))}, "reset: expected an array of bools"),
    (ValueError, {"reset": np.zeros((B, T), bool)}, r"reset: expected shape \(6, 3\) \[T, B\], got \(3, 6\)"),
    (TypeError, {"mask": np.zeros((T, B), int)}, "mask: expected an array of bools"),
    (ValueError, {"mask": np.zeros((T,), bool)}, r"mask: expected shape \(6, 3\) \[T, B\], got \(6,\)"),
    (ValueError, {"clip": -1.0}, "clip: expected None or a positive"),
    (TypeError, {"activations": "Tanh"}, "activations: expected None or 3 of them"),
    (ValueError, {"dropout": 1.5}, "dropout: expected a number from 0 to 1"),
]


@pytest.mark.parametrize(("kind", "changed", "message"), BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("jit", [False, True])
def test_messages(kind: type[Exception], changed: dict[str, Any], message: str, jit: bool) -> None:
    """Whether the arrays have numbers or are traced."""
    given: dict[str, Any] = {"x": X, "params": PARAMS} | changed
    traced = {}
    if jit:
        known = (jax.Array, np.ndarray)
        for name, value in given.items():
            ordinary = isinstance(value, known) and not isinstance(value, np.ma.MaskedArray)
            if ordinary and (name != "x" or value.dtype != np.float64):  # jit itself would make it float32
                traced[name] = value
    rest = {name: value for name, value in given.items() if name not in traced}
    with pytest.raises(kind, match=message):
        jax.jit(lambda traced: lstmfast.jax.lstm(**rest, **traced))(traced)


def test_directions_are_said_once() -> None:
    params = params_of(lstmfast.GRU(I, H, bidirectional=True))
    with pytest.raises(ValueError, match="reverse: expected False, for params has both directions, got True"):
        lstmfast.jax.gru(X, params, reverse=True)


def test_other_cells() -> None:
    with pytest.raises(ValueError, match=r"expected 3\*7 rows"):
        lstmfast.jax.gru(X, PARAMS)
    with pytest.raises(ValueError, match=r"expected 1\*7 rows"):
        lstmfast.jax.rnn(X, PARAMS)
    params = params_of(lstmfast.RNN(I, H))
    with pytest.raises(ValueError, match="nonlinearity: expected 'tanh' or 'relu', got 'sigmoid'"):
        lstmfast.jax.rnn(X, params, nonlinearity="sigmoid")
    with pytest.raises(TypeError, match="state: expected one array h_0, got a tuple"):
        lstmfast.jax.rnn(X, params, (HALF, HALF))


@pytest.mark.usefixtures("x64")
def test_one_dtype() -> None:
    """Nothing is cast on the way."""
    with pytest.raises(TypeError, match="x: expected float32, as the parameters have, got float64"):
        lstmfast.jax.lstm(FLOAT64, PARAMS)
    with pytest.raises(
        TypeError, match=r"'weight_hh_l0'\]: expected float32, as the others have, got float64"
    ):
        lstmfast.jax.lstm(X, without(weight_hh_l0=np.zeros((4 * H, H))))
    with pytest.raises(TypeError, match="state: c_0: expected float32, as the parameters have, got float64"):
        lstmfast.jax.lstm(X, PARAMS, (HALF, HALF.astype(np.float64)))


@pytest.mark.parametrize("wrong", [-1, T + 1, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize("gradient", [False, True])
def test_traced_lengths_out_of_range_are_an_error_when_run(
    wrong: int, with_mask: bool, gradient: bool
) -> None:
    """Also with a mask, of which nothing but the number of taken steps would be left."""
    mask = np.ones((T, B), bool)
    mask[2] = not with_mask

    def run(x: Any, lengths: Any, mask: Any) -> Any:
        return lstmfast.jax.lstm(x, PARAMS, lengths=lengths, mask=mask)[0].sum()

    compiled = jax.jit(jax.grad(run) if gradient else run)
    compiled(X, np.array([T, 0, 3]), mask)
    with pytest.raises(
        Exception, match=re.escape(f"lengths: expected 0 to {T} (x's time steps), got {wrong} at [1]")
    ):
        jax.block_until_ready(compiled(X, np.array([T, wrong, 3]), mask))
    compiled(X, np.array([T, 0, 3]), mask)  # and nothing is left behind


@pytest.mark.usefixtures("x64")
def test_lengths_beyond_32_bits_do_not_become_small_ones() -> None:
    run = jax.jit(lambda lengths: lstmfast.jax.lstm(X, PARAMS, lengths=lengths)[0])
    for wrong, dtype in (
        (2**32 + 1, np.int64),
        (2**32 + 1, np.uint64),
        (2**63 + 5, np.uint64),
        (2**32 - 1, np.uint32),
    ):
        with pytest.raises(Exception, match=r"lengths: expected 0 to 6 .*, got -?\d+ at \[0\]"):
            jax.block_until_ready(run(np.array([wrong, 1, 1], dtype)))
    for small in (np.uint8, np.int16, np.uint64):
        assert (run(np.array([2, 1, 1], small)) == run(np.array([2, 1, 1]))).all()
