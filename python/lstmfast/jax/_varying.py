"""Arrays of one call along the axes of a `shard_map`: all vary along those that any of them varies along.

Then JAX adds up the gradients of what did not vary, the weights say, over those axes.
"""

from __future__ import annotations

from typing import Any

import jax


def axes(array: Any) -> frozenset[Any]:
    """Along which mesh axes an array varies, as far as this version of JAX knows."""
    aval = jax.typeof(array) if hasattr(jax, "typeof") else None
    kind = getattr(aval, "manual_axis_type", None)
    found = getattr(kind, "varying", None) if kind is not None else getattr(aval, "vma", None)
    return frozenset(found or ())


def alike(*arrays: Any) -> list[Any]:
    """Have all arrays vary along the same axes."""
    own = [axes(array) for array in arrays]
    every = frozenset().union(*own)
    if not every:
        return list(arrays)
    return [_varying(array, tuple(every - axes_)) for array, axes_ in zip(arrays, own, strict=True)]


def _varying(array: Any, missing: tuple[Any, ...]) -> Any:
    if not missing:
        return array
    if hasattr(jax.lax, "pcast"):
        return jax.lax.pcast(array, missing, to="varying")
    return jax.lax.pvary(array, missing)
