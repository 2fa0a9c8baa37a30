"""The functions of lstmfast.jax beside lstmfast's layers with the same weights, and all that they give.

Import this after `pytest.importorskip("jax")`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lstmfast
import lstmfast.jax
from lstmfast._base import kinds

from ..helpers import Array, parts, random, random_call

I, H, P, T, B = 5, 7, 3, 6, 3  # odd, and none a whole vector

CUTS: dict[str, Any] = {
    "lengths": np.array([T, 0, T - 2]),
    "reset": random((T, B), seed=20) > 0.5,
    "mask": random((T, B), seed=21) > -0.3,
}


def params_of(model: Any) -> dict[str, Any]:
    """The weights of a layer, as arrays of JAX's."""
    return {name: jnp.asarray(array) for name, array in model.state_dict().items()}


def function_of(model: Any) -> Callable[..., Any]:
    """The function that does what a layer does."""
    kind = kinds.LSTM if model._KIND is kinds.LAYER_NORM_LSTM else model._KIND
    options: dict[str, Any] = {name: getattr(model, name) for name in kind.choices}
    options |= {"batch_first": model.batch_first, "reverse": model.direction == "reverse"}
    if model.clip is not None:
        options["clip"] = model.clip
    if kind is model._KIND:
        options["activations"] = model.activations
    if kind is kinds.GRU:
        options["reset_after"] = model.reset_after
    return partial(getattr(lstmfast.jax, kind.name.lower()), **options)


def on_axes(model: Any, cuts: dict[str, Any]) -> dict[str, Any]:
    """Cuts as a layer takes them: with batch_first, marks are [B, T]."""
    return {name: cut.T if model.batch_first and cut.ndim == 2 else cut for name, cut in cuts.items()}


def as_numpy(tree: Any) -> Any:
    """Arrays of JAX's as NumPy's."""
    return jax.tree.map(np.asarray, tree)


def everything(
    model: Any,
    x: Any,
    state: Any = None,
    dy: Any = None,
    dstate: Any = None,
    *,
    recompute: bool = False,
    jit: bool = True,
    **cuts: Any,
) -> dict[str, Array]:
    """All arrays that a call and its gradients give, by the names of `helpers.everything`."""
    run, compiled = function_of(model), jax.jit if jit else (lambda function: function)
    params = params_of(model)
    called = compiled(lambda x, params, state, cuts: run(x, params, state, **cuts))(x, params, state, cuts)
    if dy is None:
        dy = random(called[0].shape, called[0].dtype, seed=3)

    def both(x: Any, params: Any, state: Any, cuts: Any) -> Any:
        def of_these(x: Any, params: Any, state: Any) -> Any:
            return run(x, params, state, recompute=recompute, **cuts)

        results, back = jax.vjp(of_these, x, params, state)
        ends = jax.tree.map(jnp.zeros_like, results[1]) if dstate is None else dstate
        return results, back((dy, ends))

    (y, end), (dx, dparams, dbegin) = compiled(both)(x, params, state, cuts)
    arrays = {"called": called[0], "y": y, "dx": dx}
    for n, (a, b) in enumerate(zip(parts(called[1]), parts(end), strict=True)):
        arrays |= {f"called state {n}": a, f"state {n}": b}
        if state is not None:
            arrays[f"dstate {n}"] = parts(dbegin)[n]
    arrays |= {f"d {name}": array for name, array in dparams.items()}
    return dict(sorted(as_numpy(arrays).items()))


def loss_of(run: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """A scalar of params and x that all results have a part in."""

    def loss(params: Any, x: Any, *state: Any, **more: Any) -> Any:
        y, end = run(x, params, *state, **options, **more)
        return jnp.sin(y).sum() + sum(jnp.cos(half).sum() for half in parts(end))

    return loss


def close(actual: Any, expected: Any, bound: float = 3e-5) -> None:
    """Compare two trees of arrays, by the largest number of each array."""
    flat, tree = jax.tree.flatten(expected)
    others, other = jax.tree.flatten(actual)
    assert tree == other
    for a, e in zip(others, flat, strict=True):
        assert a.shape == e.shape
        assert a.dtype == e.dtype
        size = max(float(abs(e).max(initial=0)), 1.0)
        assert float(abs(a - e).max(initial=0)) <= bound * size


__all__ = [
    "CUTS", "B", "H", "I", "P", "T", "as_numpy", "close", "everything", "function_of", "loss_of", "on_axes",
    "params_of", "random_call",
]  # fmt: skip
