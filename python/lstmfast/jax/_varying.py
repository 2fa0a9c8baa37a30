"""Arrays of one call along the axes of a `shard_map`: all vary along those that any of them varies along.

Then JAX adds up the gradients of what did not vary, the weights say, over those axes.
"""

from __future__ import annotations

from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec


def as_keyword(array: Any) -> dict[str, Any]:
    """Say along which axes an array, or what JAX knows of one, varies, as makers of such things take it."""
    aval = jax.typeof(array) if isinstance(array, jax.Array) and hasattr(jax, "typeof") else array
    for name in ("manual_axis_type", "vma"):  # newer versions of JAX, and those before
        if _varies(getattr(aval, name, None)):
            # They mean something on a mesh alone, which an array's sharding has.
            mesh = aval.sharding.mesh
            return {name: getattr(aval, name), "sharding": NamedSharding(mesh, PartitionSpec())}
    return {}


def _varies(kind: Any) -> frozenset[Any]:
    return frozenset(getattr(kind, "varying", kind) or ())


def alike(*arrays: Any) -> list[Any]:
    """Have all arrays vary along the same axes."""
    own = [
        frozenset().union(*(_varies(kind) for name, kind in as_keyword(array).items() if name != "sharding"))
        for array in arrays
    ]
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
