"""Derivatives: against differences, only those that are wanted, and none that we have not."""

from __future__ import annotations

import re
from typing import Any

import pytest

import lstmfast

from ..helpers import CELLS, make, random_call

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from jax.test_util import check_grads  # noqa: E402

import lstmfast.jax  # noqa: E402

from .helpers import CUTS, B, H, I, T, close, function_of, loss_of, params_of  # noqa: E402


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("kind", "proj_size"), CELLS)
@pytest.mark.parametrize("cut", [False, True])
def test_against_differences(kind: str, proj_size: int, cut: bool) -> None:
    model = make(kind, I, H, proj_size=proj_size, num_layers=2, bidirectional=True, dtype="float64")
    if kind == "rnn_relu" and cut:  # differences across its bend say nothing; once is enough
        pytest.skip("relu")
    x, state, *_ = random_call(model, T, B)
    run = function_of(model)
    cuts = CUTS if cut else {}
    check_grads(
        jax.jit(lambda x, params, state: run(x, params, state, **cuts)),
        (x, params_of(model), state),
        order=1,
        modes=["rev"],
        atol=1e-6,
        rtol=1e-6,
        eps=1e-6,
    )


MODEL = lstmfast.LSTM(I, H, 2, seed=0)
PARAMS = params_of(MODEL)
X, STATE, *_ = random_call(MODEL, T, B)
LOSS = loss_of(lstmfast.jax.lstm)


@pytest.mark.parametrize("jit", [False, True])
def test_what_nobody_wants_is_not_computed(jit: bool) -> None:
    """Each wish alone gives what all together give, and says so to the core."""
    compiled = jax.jit if jit else (lambda function: function)
    every = compiled(jax.grad(LOSS, (0, 1, 2)))(PARAMS, X, STATE)
    for n in range(3):
        close(compiled(jax.grad(LOSS, n))(PARAMS, X, STATE), every[n], 0)
    text = str(jax.make_jaxpr(jax.grad(LOSS, 1))(PARAMS, X, STATE))
    assert re.search(r"wanted=\(True, False, \(False, False", text)
    for name in ("bias_hh_l0", "weight_ih_l1"):

        def of_one(array: Any, name: str = name) -> Any:
            return LOSS({**PARAMS, name: array}, X, STATE)

        close(compiled(jax.grad(of_one))(PARAMS[name]), every[0][name], 0)


def test_results_that_nothing_depends_on() -> None:
    """Of the new state alone, and of y alone."""
    whole = jax.grad(LOSS)(PARAMS, X)
    of_y = jax.grad(lambda params: jnp.sin(lstmfast.jax.lstm(X, params)[0]).sum())(PARAMS)

    def of_state(params: Any) -> Any:
        return sum(jnp.cos(half).sum() for half in lstmfast.jax.lstm(X, params)[1])

    end = jax.jit(jax.grad(of_state))(PARAMS)
    close(jax.tree.map(jnp.add, of_y, end), whole)
    assert "given=('dy',)" in str(
        jax.make_jaxpr(jax.grad(lambda params: lstmfast.jax.lstm(X, params)[0].sum()))(PARAMS)
    )


def test_a_pullback_may_be_used_again() -> None:
    (y, _), back = jax.vjp(lambda params: lstmfast.jax.lstm(X, params), PARAMS)
    zeros = (jnp.zeros((2, B, H)),) * 2
    first = back((jnp.ones_like(y), zeros))
    close(back((jnp.ones_like(y), zeros)), first, 0)
    twice = back((2 * jnp.ones_like(y), zeros))
    close(twice, jax.tree.map(lambda array: 2 * array, first))


def test_a_pullback_may_be_mapped() -> None:
    y, back = jax.vjp(lambda x: lstmfast.jax.lstm(x, PARAMS)[0], jnp.asarray(X))
    dys = jnp.stack([jnp.ones_like(y), jnp.sin(y), y])
    for n, dx in enumerate(jax.vmap(back)(dys)[0]):
        close(dx, back(dys[n])[0], 0)


def test_jacobian() -> None:
    found = jax.jit(jax.jacrev(lambda x: lstmfast.jax.lstm(x, PARAMS)[1][0][-1, 0, :2]))(X)
    for n in range(2):
        close(found[n], jax.grad(lambda x, n=n: lstmfast.jax.lstm(x, PARAMS)[1][0][-1, 0, n])(X), 0)


def test_what_there_is_not_is_an_error() -> None:
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(lambda x: lstmfast.jax.lstm(x, PARAMS)[0], (X,), (X,))
    for second in (
        jax.grad(lambda x: (jax.grad(LOSS, 1)(PARAMS, x) ** 2).sum()),
        jax.jacrev(jax.grad(LOSS, 1)),
    ):
        arguments = (X,) if second.__name__ == "<lambda>" else (PARAMS, X)
        with pytest.raises(NotImplementedError, match="derivatives of the first order"):
            second(*arguments)
