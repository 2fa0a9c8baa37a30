"""The core's handlers as targets of XLA's, registered when the first call is traced."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import jax

from .. import _core
from .._base import runtime
from ._varying import as_keyword


@cache
def register() -> None:
    """Tell XLA of our calls: for those who load an exported program and have traced none in this process."""
    _core.jax_use_isa(runtime.isa())
    for name, handler in _core.jax_handlers().items():
        jax.ffi.register_ffi_target(name, handler, platform="cpu")


def call(
    name: str, like: Any, shapes: Sequence[tuple[int, ...]], arrays: Sequence[Any], attributes: dict[str, Any]
) -> list[Any]:
    """Call a target: results of these shapes, of the dtype of `like`, and on which mesh axes it varies."""
    register()
    results = [jax.ShapeDtypeStruct(shape, like.dtype, **as_keyword(like)) for shape in shapes]
    return list(jax.ffi.ffi_call(name, results)(*arrays, **attributes))
