"""Equinox' LSTMCell and GRUCell."""

from __future__ import annotations

from typing import Any

import pytest

from .helpers import H, I, Tree, prove, randomised
from .jax_helpers import runner, shapes

jax = pytest.importorskip("jax")
eqx = pytest.importorskip("equinox")

pytestmark = pytest.mark.usefixtures("x64")


def applied(cell: Any, arrays: Tree, x: Any, state: tuple[Any, ...]) -> Any:
    """The cell with these arrays, row by row and step by step."""
    names = list(arrays)
    filled = eqx.tree_at(
        lambda cell: [getattr(cell, name) for name in names], cell, [arrays[name] for name in names]
    )

    def step(carry: Any, row: Any) -> Any:
        after = jax.vmap(filled)(row, carry)
        return after, after[0] if len(state) > 1 else after

    begin = tuple(part[0] for part in state)
    end, y = jax.lax.scan(step, begin if len(state) > 1 else begin[0], x)
    return y, tuple(part[None] for part in (end if len(state) > 1 else (end,)))


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_cells(kind: str, use_bias: bool) -> None:
    cell = getattr(eqx.nn, f"{kind}Cell")(I, H, use_bias=use_bias, key=jax.random.key(0))
    names = ("weight_ih", "weight_hh", "bias", "bias_n")
    held = {name: getattr(cell, name, None) for name in names}
    arrays = shapes({name: array for name, array in held.items() if array is not None})

    prove(kind, "equinox", randomised(arrays), runner(lambda *asked: applied(cell, *asked)))
