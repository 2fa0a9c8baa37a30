"""What a function of JAX' gives, and its gradients by weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .helpers import Call, Result, Run, Tree, mapped


def runner(apply: Callable[..., Any]) -> Run:
    """Make what runs ``apply(arrays, x, state) -> (y, state)`` and differentiates it, compiled once."""
    import jax
    import jax.numpy as jnp

    def loss(weights: Tree, numbers: tuple[Any, ...]) -> Any:
        call = Call(*numbers)
        y, state = apply(weights, call.x, call.state)
        return call.loss(y, state), (y, tuple(state))

    differentiated = jax.jit(jax.value_and_grad(loss, has_aux=True))

    def run(arrays: Tree, call: Call) -> Result:
        numbers = (call.x, call.state, call.dy, call.dstate)
        (_, (y, state)), gradients = differentiated(mapped(jnp.asarray, arrays), numbers)
        return Result(np.asarray(y), tuple(map(np.asarray, state)), mapped(np.asarray, gradients))

    return run


def shapes(tree: Any) -> Tree:
    """A tree of JAX' as dicts of NumPy's arrays."""
    return mapped(np.asarray, tree)
