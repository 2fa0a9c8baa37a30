"""Flax linen's RNN and ours: the same parameters, the same results, and what we do not do goes Flax' way."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import pytest

from ..helpers import random

jax = pytest.importorskip("jax")
nn = pytest.importorskip("flax.linen")

import jax.numpy as jnp  # noqa: E402

import lstmfast.jax.linen as ours  # noqa: E402

from .flax_helpers import (  # noqa: E402
    CALLS,
    LENGTHS,
    B,
    H,
    I,
    T,
    X,
    assert_agree,
    carry_of,
    cases,
    is_ours,
    of_call,
    with_gradients,
)

CELLS = [nn.LSTMCell, nn.OptimizedLSTMCell, nn.GRUCell, nn.SimpleCell]
# Biases of zeros would hide which one it is; orthogonal kernels take long to compile.
INITIAL = dict.fromkeys(("bias_init", "recurrent_kernel_init"), nn.initializers.normal(0.3))


@cache
def variables_of(cell: Any) -> Any:
    return jax.jit(nn.RNN(cell(H, **INITIAL)).init)(jax.random.key(3), X)


def pair(cell: Any, **options: Any) -> tuple[Any, Any, Any]:
    """Flax' wrapper, ours, and parameters for both."""
    theirs, our = (library.RNN(cell(H, **INITIAL), **options) for library in (nn, ours))
    return theirs, our, variables_of(cell)


@pytest.mark.parametrize("cell", CELLS)
def test_init_gives_the_same(cell: Any) -> None:
    _, our, variables = pair(cell)
    assert_agree(jax.jit(our.init)(jax.random.key(3), X), variables, 0)


@pytest.mark.parametrize(("cell", "name", "lengths"), cases(CELLS))
def test_as_flax(cell: Any, name: str, lengths: Any) -> None:
    options = CALLS[name]
    theirs, our, variables = pair(cell, **options)
    x = of_call(options)
    carry = carry_of(cell) if lengths is None else None
    found = []
    for model in (theirs, our):

        def run(variables: Any, x: Any, carry: Any, model: Any = model) -> Any:
            return model.apply(variables, x, initial_carry=carry, seq_lengths=lengths)

        found.append(jax.jit(partial(with_gradients, run))(variables, x, carry))
    assert is_ours(lambda v: our.apply(v, x, seq_lengths=lengths), variables)
    assert_agree(found[1], found[0])


def test_lengths_that_are_traced_and_a_row_of_its_own() -> None:
    theirs, our, variables = pair(nn.OptimizedLSTMCell)
    lengths = jnp.array([2, 0, 6, 5])
    for name, given in {
        "lengths": {"seq_lengths": lengths, "return_carry": True},
        "one row": {"inputs": X[0], "return_carry": True},
        "one row in reverse": {"inputs": X[0], "reverse": True},
        "overridden": {"reverse": True, "keep_order": True, "time_major": True},
        "no steps": {"inputs": X[:, :0], "return_carry": True},
        "key": {"init_key": jax.random.key(9), "return_carry": True},
    }.items():
        call = {"inputs": X} | given

        def run(model: Any, call: Any = call) -> Any:
            arrays = {key: value for key, value in call.items() if isinstance(value, jax.Array)}
            rest = {key: value for key, value in call.items() if key not in arrays}
            return jax.jit(lambda arrays: model.apply(variables, **arrays, **rest))(arrays)

        if name == "no steps":
            (c, h), y = run(our)
            assert (y.shape, c.shape, h.shape) == ((B, 0, H), (B, H), (B, H))
            continue
        assert_agree(run(our), run(theirs))


def test_a_carry_that_is_not_zero() -> None:
    def carried(library: Any) -> Any:
        return library.RNN(nn.GRUCell(H, carry_init=nn.initializers.ones), return_carry=True)

    variables = carried(nn).init(jax.random.key(0), X)
    found = [carried(library).apply(variables, X) for library in (nn, ours)]
    assert_agree(found[1], found[0])
    plain = ours.RNN(nn.GRUCell(H)).apply(variables, X)
    assert abs(plain - found[1][1]).max() > 0.01


def test_both_directions() -> None:
    def model(library: Any) -> Any:
        return nn.Bidirectional(
            library.RNN(nn.OptimizedLSTMCell(H)), library.RNN(nn.OptimizedLSTMCell(H)), return_carry=True
        )

    variables = model(nn).init(jax.random.key(0), X)
    assert_agree(model(ours).init(jax.random.key(0), X), variables, 0)
    assert is_ours(lambda v: model(ours).apply(v, X, seq_lengths=LENGTHS), variables)
    assert_agree(
        model(ours).apply(variables, X, seq_lengths=LENGTHS),
        model(nn).apply(variables, X, seq_lengths=LENGTHS),
    )


class Model(nn.Module):  # type: ignore[misc, name-defined]
    """As users write them: named by Flax, two layers, one of them checkpointed."""

    library: Any
    width: int = 1

    def setup(self) -> None:
        self.first = self.library.RNN(nn.OptimizedLSTMCell(H))
        self.second = nn.remat(self.library.RNN)(nn.GRUCell(H))
        self.last = nn.Dense(self.width)

    def __call__(self, x: Any) -> Any:
        return self.last(self.second(self.first(x))[:, -1])


def test_training_follows_the_same_curve() -> None:
    target = jnp.asarray(random((B, 1), seed=8))
    curves, trees = [], []
    for library in (nn, ours):
        model = Model(library)
        variables = jax.jit(model.init)(jax.random.key(0), X)

        def step(variables: Any, model: Any = model) -> Any:
            loss, gradient = jax.value_and_grad(
                lambda variables: ((model.apply(variables, X) - target) ** 2).mean()
            )(variables)
            return loss, jax.tree.map(lambda w, dw: w - 0.1 * dw, variables, gradient)

        compiled, losses = jax.jit(step), []
        for _ in range(40):
            loss, variables = compiled(variables)
            losses.append(loss)
        curves.append(jnp.stack(losses))
        trees.append(jax.tree.structure(variables))
    assert curves[0][-1] < 0.3 * curves[0][0]
    assert_agree(curves[1], curves[0], 1e-4)
    assert trees[0] == trees[1]


def test_boxed_parameters_and_vmap() -> None:
    """Parameters with names of mesh axes, and a lifted map over models."""
    boxed = nn.with_partitioning(nn.initializers.lecun_normal(), (None, "mesh"))
    model = ours.RNN(nn.OptimizedLSTMCell(H, kernel_init=boxed))
    variables = model.init(jax.random.key(0), X)
    plain = nn.RNN(nn.OptimizedLSTMCell(H))
    assert is_ours(lambda v: model.apply(v, X), variables)
    assert_agree(model.apply(variables, X), plain.apply(nn.meta.unbox(variables), X))

    mapped = nn.vmap(ours.RNN, variable_axes={"params": 0}, split_rngs={"params": True})(nn.GRUCell(H))
    xs = jnp.stack([X, 2 * X])
    variables = mapped.init(jax.random.key(0), xs)
    each = [
        nn.RNN(nn.GRUCell(H)).apply(jax.tree.map(lambda w, n=n: w[n], variables), xs[n]) for n in range(2)
    ]
    assert_agree(mapped.apply(variables, xs), jnp.stack(each))


class Doubling(nn.GRUCell):  # type: ignore[misc, name-defined]
    def __call__(self, carry: Any, inputs: Any) -> Any:
        carry, y = super().__call__(carry, inputs)
        return carry, 2 * y


OTHERS: dict[str, tuple[Any, Any]] = {
    "a subclass": (lambda library: library.RNN(Doubling(H)), X),
    "another cell": (lambda library: library.RNN(nn.MGUCell(H)), X),
    "residual": (lambda library: library.RNN(nn.SimpleCell(H, residual=True)), X),
    "another function": (lambda library: library.RNN(nn.GRUCell(H, gate_fn=nn.hard_sigmoid)), X),
    "bfloat16": (lambda library: library.RNN(nn.LSTMCell(H, dtype=jnp.bfloat16)), X),
    "x of float16": (lambda library: library.RNN(nn.LSTMCell(H)), X.astype(jnp.float16)),
    "rows of two axes": (lambda library: library.RNN(nn.LSTMCell(H)), X.reshape(2, 2, T, I)),
    "axes of variables": (
        lambda library: library.RNN(
            nn.LSTMCell(H), variable_broadcast="params", variable_carry="batch_stats"
        ),
        X,
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_goes_flaxs_way(name: str) -> None:
    make, x = OTHERS[name]
    variables = jax.jit(make(nn).init)(jax.random.key(0), x)
    assert not is_ours(lambda v: make(ours).apply(v, x), variables)
    found = [jax.jit(make(library).apply)(variables, x) for library in (nn, ours)]
    assert_agree(found[1], found[0], 0)


def test_those_who_look_inside_go_flaxs_way() -> None:
    _, our, variables = pair(nn.GRUCell)

    def looked_at(variables: Any) -> Any:
        return our.apply(variables, X, mutable=["intermediates"])[0]

    assert not is_ours(looked_at, variables)
    assert is_ours(lambda variables: our.apply(variables, X, mutable=["batch_stats"])[0], variables)


def test_those_who_intercept_the_cell_go_flaxs_way() -> None:
    theirs, our, variables = pair(nn.GRUCell)

    def doubled(function: Any, args: Any, kwargs: Any, context: Any) -> Any:
        result = function(*args, **kwargs)
        return 2 * result if isinstance(context.module, nn.Dense) else result

    with nn.intercept_methods(doubled):
        assert not is_ours(lambda variables: our.apply(variables, X), variables)
        found = [jax.jit(model.apply)(variables, X) for model in (theirs, our)]
    assert_agree(found[1], found[0], 0)


@pytest.mark.parametrize("function", [nn.relu, nn.soft_sign, nn.softplus])
def test_functions_that_we_have(function: Any) -> None:
    def model(library: Any) -> Any:
        return library.RNN(nn.LSTMCell(H, gate_fn=nn.sigmoid, activation_fn=function))

    variables = model(nn).init(jax.random.key(0), X)
    assert is_ours(lambda v: model(ours).apply(v, X), variables)
    assert_agree(model(ours).apply(variables, X), model(nn).apply(variables, X))


def test_mistakes_are_flaxs_own() -> None:
    theirs, our, variables = pair(nn.GRUCell)
    carry = jnp.zeros((B, H))
    for x, given in (
        (X[..., 1:], carry),
        (X, "none"),
        (X, carry[1:]),
        (X, carry[:, 1:]),
        (X, (carry, carry)),
    ):
        messages = []
        for model in (theirs, our):
            with pytest.raises(Exception) as caught:  # noqa: PT011, whatever it is
                model.apply(variables, x, initial_carry=given)
            messages.append((type(caught.value), str(caught.value)))
        assert messages[0] == messages[1]
