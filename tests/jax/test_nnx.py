"""Flax nnx' RNN and ours: the same state, the same results, and what we do not do goes Flax' way."""

from __future__ import annotations

from typing import Any

import pytest

from ..helpers import random

jax = pytest.importorskip("jax")
pytest.importorskip("flax")

import jax.numpy as jnp  # noqa: E402
from flax import nnx  # noqa: E402

import lstmfast.jax.nnx as ours  # noqa: E402

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
    loss_of_leaves,
    of_call,
)

CELLS = [nnx.LSTMCell, nnx.OptimizedLSTMCell, nnx.GRUCell, nnx.SimpleCell]
# Biases of zeros would hide which one it is; orthogonal kernels take long to compile.
INITIAL = dict.fromkeys(("bias_init", "recurrent_kernel_init"), nnx.initializers.normal(0.3))


def pair(cell: Any, **options: Any) -> tuple[Any, Any]:
    """Flax' wrapper and ours, of the same seed."""
    theirs, our = (library.RNN(cell(I, H, **INITIAL, rngs=nnx.Rngs(3)), **options) for library in (nnx, ours))
    return theirs, our


def runs_on_ours(model: Any, *arguments: Any, **options: Any) -> bool:
    graph, state = nnx.split(model)
    return is_ours(lambda state: nnx.merge(graph, state)(*arguments, **options), state)


@pytest.mark.parametrize(("cell", "name", "lengths"), cases(CELLS))
def test_as_flax(cell: Any, name: str, lengths: Any) -> None:
    options = CALLS[name]
    models = pair(cell, **options)
    x = of_call(options)
    carry = carry_of(cell) if lengths is None else None
    found = []
    for model in models:

        def run(model: Any, x: Any, carry: Any) -> Any:
            return model(x, initial_carry=carry, seq_lengths=lengths)

        def loss(model: Any, x: Any, carry: Any, run: Any = run) -> Any:
            return loss_of_leaves(run(model, x, carry))

        gradient = nnx.grad(loss, argnums=(0, 1) if carry is None else (0, 1, 2))
        both = nnx.jit(lambda *given, run=run, gradient=gradient: (run(*given), gradient(*given)))
        results, gradients = both(model, x, carry)
        found.append((results, nnx.to_pure_dict(gradients[0]), gradients[1:]))
    assert runs_on_ours(models[1], x, seq_lengths=lengths)
    assert_agree(found[1], found[0])


@pytest.mark.parametrize("cell", CELLS)
def test_state_before_and_after(cell: Any) -> None:
    """Parameters, and how often random numbers were asked for: one loads the other's checkpoint."""
    theirs, our = pair(cell)
    for rngs in (None, nnx.Rngs(5)):
        outputs = [model(X, rngs=rngs) for model in (theirs, our)]
        assert_agree(outputs[1], outputs[0])
        assert_agree(nnx.to_pure_dict(nnx.state(our)), nnx.to_pure_dict(nnx.state(theirs)), 0)
    nnx.update(our, jax.tree.map(lambda w: w * 0, nnx.state(theirs, nnx.Param)))
    assert not our(X).any()


def test_carries_that_are_drawn() -> None:
    with pytest.warns(UserWarning, match="carry_init"):
        theirs, our = pair_with_drawn_carries()
    for _ in range(2):
        assert_agree(our(X, rngs=nnx.Rngs(carry=1)), theirs(X, rngs=nnx.Rngs(carry=1)))
    assert abs(our(X) - pair(nnx.GRUCell)[1](X)).max() > 0.01


def pair_with_drawn_carries() -> list[Any]:
    return [
        library.RNN(nnx.GRUCell(I, H, **INITIAL, carry_init=nnx.initializers.normal(1.0), rngs=nnx.Rngs(3)))
        for library in (nnx, ours)
    ]


def test_both_directions() -> None:
    models = [
        nnx.Bidirectional(
            *(library.RNN(nnx.OptimizedLSTMCell(I, H, rngs=nnx.Rngs(seed))) for seed in (1, 2)),
            return_carry=True,
        )
        for library in (nnx, ours)
    ]
    assert runs_on_ours(models[1], X, seq_lengths=LENGTHS)
    found = [nnx.jit(lambda model: model(X, seq_lengths=LENGTHS))(model) for model in models]
    assert_agree(found[1], found[0])


def test_training_follows_the_same_curve() -> None:
    target = jnp.asarray(random((B, H), seed=8))
    curves = []
    for model in pair(nnx.OptimizedLSTMCell):

        @nnx.jit  # type: ignore[untyped-decorator]
        def step(model: Any) -> Any:
            loss, gradient = nnx.value_and_grad(lambda model: ((model(X)[:, -1] - target) ** 2).mean())(model)
            params = nnx.state(model, nnx.Param)
            nnx.update(model, jax.tree.map(lambda w, dw: w - 0.5 * dw, params, gradient))
            return loss

        curves.append(jnp.stack([step(model) for _ in range(40)]))
    assert curves[0][-1] < 0.8 * curves[0][0]
    assert_agree(curves[1], curves[0], 1e-4)


def cell_of(cls: Any, **options: Any) -> Any:
    return cls(I, H, rngs=nnx.Rngs(0), **options)


class Doubling(nnx.GRUCell):  # type: ignore[misc]
    def __call__(self, carry: Any, inputs: Any) -> Any:
        carry, y = super().__call__(carry, inputs)
        return carry, 2 * y


def with_another_layer() -> Any:
    cell = cell_of(nnx.GRUCell)
    cell.dense_h = nnx.LoRALinear(H, 3 * H, lora_rank=2, use_bias=False, rngs=nnx.Rngs(0))
    return cell


def with_a_layer_that_has(name: str, value: Any) -> Any:
    cell = cell_of(nnx.GRUCell)
    setattr(cell.dense_h, name, value)
    return cell


def doubled(arrays: Any, **_: Any) -> Any:
    return tuple(None if array is None else 2 * array for array in arrays)


OTHERS: dict[str, tuple[Any, Any]] = {
    "a layer of bfloat16 in it": (lambda: with_a_layer_that_has("dtype", jnp.bfloat16), X),
    "a layer in it that sums in bfloat16": (
        lambda: with_a_layer_that_has("preferred_element_type", jnp.bfloat16),
        X,
    ),
    "a layer in it that changes its operands": (lambda: with_a_layer_that_has("promote_dtype", doubled), X),
    "a subclass": (lambda: cell_of(Doubling), X),
    "another layer in it": (with_another_layer, X),
    "residual": (lambda: cell_of(nnx.SimpleCell, residual=True), X),
    "another function": (lambda: cell_of(nnx.GRUCell, gate_fn=nnx.hard_sigmoid), X),
    "bfloat16": (lambda: cell_of(nnx.LSTMCell, dtype=jnp.bfloat16), X),
    "x of float16": (lambda: cell_of(nnx.LSTMCell), X.astype(jnp.float16)),
    "rows of two axes": (lambda: cell_of(nnx.LSTMCell), X.reshape(2, 2, T, I)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_goes_flaxs_way(name: str) -> None:
    make, x = OTHERS[name]
    theirs, our = nnx.RNN(make()), ours.RNN(make())
    assert not runs_on_ours(our, x)
    assert_agree(our(x), theirs(x), 0)
    assert_agree(nnx.to_pure_dict(nnx.state(our)), nnx.to_pure_dict(nnx.state(theirs)), 0)


def test_mistakes_are_flaxs_own() -> None:
    theirs, our = pair(nnx.GRUCell)
    carry = jnp.zeros((B, H))
    for x, given in ((X[..., 1:], carry), (X, carry[1:]), (X, carry[:, 1:]), (X, (carry, carry))):
        messages = []
        for model in (theirs, our):
            with pytest.raises(Exception) as caught:  # noqa: PT011, whatever it is
                model(x, initial_carry=given)
            messages.append((type(caught.value), str(caught.value)))
        assert messages[0] == messages[1]
