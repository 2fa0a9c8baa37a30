"""What both of Flax' interfaces are compared by. Import this after `pytest.importorskip("flax")`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..helpers import random

I, H, T, B = 5, 7, 6, 4
LENGTHS = jnp.array([T, 0, 3, 1])
X = jnp.asarray(random((B, T, I), seed=1))
STATE = jnp.asarray(random((2, B, H), seed=2))

# What a wrapper is told, and a call.
CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "carry": {"return_carry": True},
    "reverse": {"reverse": True},
    "kept order": {"reverse": True, "keep_order": True, "return_carry": True},
    "time first": {"time_major": True, "return_carry": True},
    "time first, reverse": {"time_major": True, "reverse": True, "unroll": 2},
    "time first, kept order": {"time_major": True, "reverse": True, "keep_order": True, "return_carry": True},
}


def of_call(options: dict[str, Any], x: Any = X) -> Any:
    """The input in a call's layout."""
    return x.swapaxes(0, 1) if options.get("time_major") else x


def carry_of(cell: Any) -> Any:
    """An initial carry for a cell of this name."""
    return tuple(STATE) if "LSTM" in cell.__name__ else STATE[0]


def cases(cells: list[Any]) -> list[tuple[Any, str, Any]]:
    """Each cell with a call or two, one of them with most calls; few, for Flax takes long to compile."""
    chosen = [(cell, "kept order", LENGTHS) for cell in cells]
    (many,) = (cell for cell in cells if "Optimized" in cell.__name__)
    chosen += [(many, name, LENGTHS) for name in ("carry", "reverse", "time first, kept order")]
    chosen += [(many, name, None) for name in ("kept order", "time first, reverse")]
    return chosen


def with_gradients(run: Any, *arguments: Any) -> Any:
    """What a function gives, and its gradients, all results having a part in them."""
    results, back = jax.vjp(run, *arguments)
    return results, back(jax.tree.map(jnp.cos, results))


def loss_of_leaves(tree: Any) -> Any:
    return sum(jnp.sin(leaf).sum() for leaf in jax.tree.leaves(tree))


def assert_agree(actual: Any, expected: Any, bound: float = 3e-6) -> None:
    """Compare trees of arrays and of keys."""
    flat, tree = jax.tree.flatten(expected)
    others, other = jax.tree.flatten(actual)
    assert tree == other
    for a, e in zip(others, flat, strict=True):
        if jnp.issubdtype(getattr(e, "dtype", None), jax.dtypes.prng_key):
            a, e = jax.random.key_data(a), jax.random.key_data(e)
        assert a.dtype == e.dtype
        assert a.shape == e.shape
        size = max(float(abs(np.asarray(e, np.float64)).max(initial=0)), 1.0)
        difference = np.asarray(a, np.float64) - np.asarray(e, np.float64)
        assert float(abs(difference).max(initial=0)) <= bound * size


def is_ours(function: Any, *arguments: Any) -> bool:
    """Whether a function runs on the core."""
    return "lstmfast_" in str(jax.make_jaxpr(function)(*arguments))
