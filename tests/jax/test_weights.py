"""Weights come with every call: packed once, known while they are the same, and never taken for others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast import _core

from ..helpers import random
from ..together import together

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402

import lstmfast.jax  # noqa: E402

from .helpers import B, H, I, T, close, loss_of, params_of  # noqa: E402

X = random((T, B, I))
LOSS = loss_of(lstmfast.jax.lstm)
MOST_NETWORKS, MOST_BYTES = 64, 256 << 20  # cpp/jax/weights.cpp


def ready(tree: Any) -> Any:
    return jax.block_until_ready(tree)


def test_packed_once_while_they_are_the_same() -> None:
    params = params_of(lstmfast.LSTM(I, H, seed=1))
    run = jax.jit(lstmfast.jax.lstm)
    _core.give_back_memory()
    assert _core.jax_kept_networks() == (0, 0)
    first = ready(run(X, params))
    one = _core.jax_kept_networks()
    assert one[0] == 1
    copies = {name: array + 0 for name, array in params.items()}  # at other addresses
    close(run(X, copies), first, 0)
    ready(jax.jit(jax.grad(LOSS))(params, X))
    assert _core.jax_kept_networks() == one


def test_new_weights_are_other_weights() -> None:
    """Also at the very addresses of the old ones, which XLA reuses."""
    step = jax.jit(lambda params: jax.tree.map(lambda w: w * jnp.float32(0.9), params), donate_argnums=0)
    run = jax.jit(lstmfast.jax.lstm)
    model = lstmfast.LSTM(I, H, seed=2)
    params = params_of(model)
    for _ in range(5):
        model.load_state_dict({name: np.array(w) for name, w in params.items()})
        close(run(X, params)[0], jnp.asarray(model(X)[0]), 0)
        params = step(params)


def test_one_number_is_enough() -> None:
    params = params_of(lstmfast.LSTM(I, H, seed=3))
    run = jax.jit(lambda x, params: lstmfast.jax.lstm(x, params)[0])
    before = run(X, params)
    for name in params:
        changed = {**params, name: params[name].at[(0,) * params[name].ndim].add(1)}
        assert not (run(X, changed) == before).all(), name
    # And so is which of two is which.
    swapped = {**params, "bias_ih_l0": params["bias_hh_l0"] + 1, "bias_hh_l0": params["bias_ih_l0"]}
    close(run(X, swapped), lstmfast.jax.lstm(X, swapped)[0], 0)


def test_configurations_are_told_apart() -> None:
    """The same weights in another direction, or with another function."""
    params = params_of(lstmfast.RNN(I, H, seed=4))
    model = {
        (way, function): np.asarray(lstmfast.jax.rnn(X, params, reverse=way, nonlinearity=function)[0])
        for way in (False, True)
        for function in ("tanh", "relu")
    }
    for (way, function), found in model.items():
        layer = lstmfast.RNN(I, H, nonlinearity=function, direction="reverse" if way else "forward")
        layer.load_state_dict({name: np.asarray(array) for name, array in params.items()})
        assert (layer(X)[0] == found).all()


def test_what_is_kept_is_bounded() -> None:
    run = jax.jit(lstmfast.jax.rnn)
    params = params_of(lstmfast.RNN(I, H, seed=5))
    for n in range(2 * MOST_NETWORKS):
        ready(run(X, {**params, "bias_hh_l0": params["bias_hh_l0"] + n}))
        assert _core.jax_kept_networks()[0] <= MOST_NETWORKS
    assert _core.jax_kept_networks()[0] == MOST_NETWORKS


def test_bytes_are_bounded() -> None:
    run = jax.jit(lstmfast.jax.rnn)
    wide = {"weight_ih_l0": jnp.zeros((2048, 2048)), "weight_hh_l0": jnp.zeros((2048, 2048))}
    x = jnp.zeros((1, 1, 2048))
    for n in range(6):  # 64 MiB each, with the backward pass's
        ready(run(x, {**wide, "weight_hh_l0": wide["weight_hh_l0"] + n}))
        assert _core.jax_kept_networks()[1] <= MOST_BYTES
    assert _core.jax_kept_networks()[1] == MOST_BYTES
    _core.give_back_memory()
    assert _core.jax_kept_networks() == (0, 0)


def test_training_leaves_one_network_for_a_layer() -> None:
    """Weights of earlier steps make room for the next ones, and those of other layers stay."""
    layers = [params_of(lstmfast.LSTM(I, I, seed=seed)) for seed in range(3)]

    def step(layers: Any) -> Any:
        def loss(layers: Any) -> Any:
            y = jnp.asarray(X)
            for params in layers:
                y = lstmfast.jax.lstm(y, params)[0]
            return (y**2).sum()

        return jax.tree.map(lambda w, dw: w - 0.01 * dw, layers, jax.grad(loss)(layers))

    compiled = jax.jit(step)
    _core.give_back_memory()
    for _ in range(5):
        layers = ready(compiled(layers))
        assert _core.jax_kept_networks()[0] == 3


def test_many_threads_of_python_at_once() -> None:
    """Each with its own weights, in training and inference, while another drops what is kept."""
    models = [lstmfast.LSTM(I, H, seed=seed) for seed in range(3)]
    gradient = jax.jit(jax.grad(LOSS))
    run = jax.jit(lambda x, params: lstmfast.jax.lstm(x, params)[0])
    given = [params_of(model) for model in models]
    expected = [(gradient(params, X), run(X, params)) for params in given]

    def job(n: int) -> None:
        for _ in range(40):
            close(gradient(given[n], X), expected[n][0], 0)
            close(run(X, given[n]), expected[n][1], 0)

    def dropping() -> None:
        for _ in range(40):
            _core.give_back_memory()

    together([*(lambda n=n: job(n) for n in range(3)), dropping])
