"""Cells of other frameworks by their weights: the framework's own results, and gradients as it names them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import random

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402

import lstmfast.jax  # noqa: E402

from .helpers import B, H, I, T, close, params_of  # noqa: E402

X = random((T, B, I), seed=1)
FUNCTIONS: dict[str, Any] = {"LSTM": lstmfast.jax.lstm, "GRU": lstmfast.jax.gru, "RNN": lstmfast.jax.rnn}


def ours(weights: Any, convention: str, kind: str, **options: Any) -> Any:
    params, more = lstmfast.jax.from_weights(weights, convention, kind, **options)
    return FUNCTIONS[kind](X, params, **more)[0]


def with_gradients(run: Any, weights: Any) -> Any:
    y, back = jax.vjp(run, weights)
    return y, back(jnp.cos(y))[0]


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("bias", [True, False])
def test_equinox(kind: str, bias: bool) -> None:
    equinox = pytest.importorskip("equinox")
    cell = getattr(equinox.nn, f"{kind}Cell")(I, H, use_bias=bias, key=jax.random.key(1))
    arrays, rest = equinox.partition(cell, equinox.is_array)

    def theirs(arrays: Any) -> Any:
        module, zeros = equinox.combine(arrays, rest), jnp.zeros((B, H))

        def step(state: Any, x: Any) -> Any:
            state = jax.vmap(module)(x, state)
            return state, state[0] if kind == "LSTM" else state

        return jax.lax.scan(step, (zeros, zeros) if kind == "LSTM" else zeros, X)[1]

    found = jax.jit(lambda arrays: with_gradients(lambda a: ours(a, "equinox", kind), arrays))(arrays)
    close(found, jax.jit(lambda arrays: with_gradients(theirs, arrays))(arrays))


@pytest.mark.parametrize(("kind", "name"), [("LSTM", "LSTM"), ("GRU", "GRU"), ("RNN", "VanillaRNN")])
def test_haiku(kind: str, name: str) -> None:
    haiku = pytest.importorskip("haiku")

    def network(x: Any) -> Any:
        core = getattr(haiku, name)(H)
        return haiku.dynamic_unroll(core, x, core.initial_state(B))[0]

    theirs = haiku.without_apply_rng(haiku.transform(network))
    params = jax.jit(theirs.init)(jax.random.key(0), X)
    params = jax.tree.map(lambda w: jnp.asarray(random(w.shape, seed=w.size, scale=0.4)), params)
    prefix = "vanilla_rnn/" if kind == "RNN" else f"{kind.lower()}/"
    found = jax.jit(lambda p: with_gradients(lambda p: ours(p, "haiku", kind, prefix=prefix), p))(params)
    close(found, jax.jit(lambda p: with_gradients(lambda p: theirs.apply(p, X), p))(params))


def test_every_convention_of_arrays_by_name() -> None:
    """Numbers that come in as a layer's go out as the function's."""
    for convention in ("keras", "flax", "flax-nnx-optimized", "mlx"):
        layer = lstmfast.LSTM(I, H, seed=3)
        zeros = {
            name: np.zeros_like(w) if name == "bias_hh_l0" else w for name, w in layer.state_dict().items()
        }
        layer.load_state_dict(zeros)
        theirs = layer.to_weights(convention)
        if not isinstance(theirs, dict):
            continue
        same = lstmfast.LSTM.from_weights(theirs, convention)
        params, options = lstmfast.jax.from_weights(theirs, convention)
        assert options == {}
        y = np.asarray(lstmfast.jax.lstm(X, params)[0])
        np.testing.assert_array_equal(y, same(X)[0])


def test_what_is_refused() -> None:
    params = params_of(lstmfast.LSTM(I, H))
    with pytest.raises(ValueError, match=r"expected .*'equinox'.*, got 'equinoxx'"):
        lstmfast.jax.from_weights(params, "equinoxx")
    with pytest.raises(ValueError, match="kind: expected 'LSTM' or 'GRU' or 'RNN', got 'CNN'"):
        lstmfast.jax.from_weights(params, "equinox", "CNN")
    with pytest.raises(
        ValueError, match=r"weights: expected the names .*'equinox', got unexpected .*missing"
    ):
        lstmfast.jax.from_weights(params, "equinox")
    with pytest.raises(ValueError, match="prefix: expected what names in weights begin with, got 'lstm/'"):
        lstmfast.jax.from_weights(params, "equinox", prefix="lstm/")
    with pytest.raises(TypeError, match="weights: expected names that are strings, got 1"):
        lstmfast.jax.from_weights({1: X}, "equinox")
    with pytest.raises(TypeError, match=r"weights\['weight_ih'\]: expected an array of float32"):
        lstmfast.jax.from_weights({"weight_ih": np.zeros((4 * H, I), int)}, "equinox")
