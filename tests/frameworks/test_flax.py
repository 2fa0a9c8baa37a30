"""Flax' linen and nnx: every cell in their RNN."""

from __future__ import annotations

from typing import Any

import pytest

from .helpers import B as ROWS
from .helpers import H, I, T, Tree, prove, randomised
from .jax_helpers import runner, shapes

jax = pytest.importorskip("jax")
linen = pytest.importorskip("flax.linen")
nnx = pytest.importorskip("flax.nnx")

pytestmark = pytest.mark.usefixtures("x64")

LINEN = (("LSTM", "LSTMCell"), ("LSTM", "OptimizedLSTMCell"), ("GRU", "GRUCell"), ("RNN", "SimpleCell"))


def carried(state: tuple[Any, ...]) -> Any:
    """Flax' carry of the first direction: (c, h), or h."""
    first = tuple(part[0] for part in state)
    return first[::-1] if len(first) > 1 else first[0]


def split(carry: Any) -> tuple[Any, ...]:
    """Ours of Flax'."""
    ours = carry[::-1] if isinstance(carry, tuple) else (carry,)
    return tuple(part[None] for part in ours)


@pytest.mark.parametrize(("kind", "name"), LINEN)
def test_linen(kind: str, name: str) -> None:
    cell = getattr(linen, name)(H, param_dtype=jax.numpy.float64)
    rnn = linen.RNN(cell, time_major=True, return_carry=True)
    variables = rnn.init(jax.random.key(0), jax.numpy.zeros((T, ROWS, I)))

    def apply(arrays: Tree, x: Any, state: tuple[Any, ...]) -> Any:
        carry, y = rnn.apply({"params": {"cell": arrays}}, x, initial_carry=carried(state))
        return y, split(carry)

    prove(kind, "flax", randomised(shapes(variables["params"]["cell"])), runner(apply))


@pytest.mark.parametrize(("kind", "name"), LINEN)
def test_linen_both_ways(kind: str, name: str) -> None:
    """Each direction's weights are a pair of ours, where Flax has names for them."""
    cells = [getattr(linen, name)(H, param_dtype=jax.numpy.float64) for _ in range(2)]
    both = linen.Bidirectional(*(linen.RNN(cell) for cell in cells), time_major=True, return_carry=True)
    variables = both.init(jax.random.key(0), jax.numpy.zeros((T, ROWS, I)))["params"]

    def apply(arrays: Tree, x: Any, state: tuple[Any, ...]) -> Any:
        forward, reverse = arrays
        parameters = {"forward_rnn": {"cell": forward}, "backward_rnn": {"cell": reverse}}
        begin = tuple(carried(tuple(part[d : d + 1] for part in state)) for d in range(2))
        carries, y = both.apply({"params": parameters}, x, initial_carry=begin)
        ends = zip(*map(split, carries), strict=True)
        return y, tuple(map(jax.numpy.concatenate, ends))

    pair = tuple(shapes(variables[f"{way}_rnn"]["cell"]) for way in ("forward", "backward"))
    prove(kind, "flax", randomised(pair), runner(apply))


NNX = (
    ("LSTM", "LSTMCell", "flax-nnx"),
    ("LSTM", "OptimizedLSTMCell", "flax-nnx-optimized"),
    ("GRU", "GRUCell", "flax-nnx"),
    ("RNN", "SimpleCell", "flax-nnx"),
)
# It alone computes in float32 unless it is told, whatever its weights are.
FLOAT64 = {"SimpleCell": {"dtype": "float64"}}


@pytest.mark.parametrize(("kind", "name", "convention"), NNX)
def test_nnx(kind: str, name: str, convention: str) -> None:
    cell = getattr(nnx, name)(I, H, param_dtype=jax.numpy.float64, rngs=nnx.Rngs(0), **FLOAT64.get(name, {}))
    graph, weights = nnx.split(cell)

    def apply(arrays: Tree, x: Any, state: tuple[Any, ...]) -> Any:
        state_of_nnx = jax.tree.map(lambda array: array, weights)  # a copy
        nnx.replace_by_pure_dict(state_of_nnx, arrays)
        cell = nnx.merge(graph, state_of_nnx)
        carry, y = nnx.RNN(cell, time_major=True, return_carry=True)(x, initial_carry=carried(state))
        return y, split(carry)

    arrays = randomised(shapes(nnx.to_pure_dict(weights)))
    prove(kind, convention, arrays, runner(apply), one_bias_of_n=kind == "GRU")
