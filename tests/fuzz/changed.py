"""Nested values with something in them changed."""

from __future__ import annotations

from typing import Any

import numpy as np

from .draw import Draw, array, laid


def other(draw: Draw, value: Any, depth: int = 0) -> Any:
    """The value with something in it changed."""
    if isinstance(value, dict) and value and draw.below(8):
        name = draw.one_of(list(value))
        found = dict(value)
        if draw.seldom():
            del found[name]
        elif draw.seldom():
            found[draw.text()] = draw.value()
        else:
            found[name] = other(draw, value[name], depth + 1)
        return found
    if isinstance(value, (tuple, list)) and value and draw.below(8):
        at = draw.below(len(value))
        parts = [*value]
        parts[at] = other(draw, parts[at], depth + 1)
        return type(value)(parts)
    if isinstance(value, np.ndarray):
        return another_array(draw, value)
    if isinstance(value, int) and draw.flag():
        return value + draw.below(5) - 2
    return draw.value()


def another_array(draw: Draw, value: Any) -> Any:
    kind = draw.below(6)
    if kind == 0:
        return draw.value()
    if kind == 1:
        return array(draw, draw.below(4))
    if kind == 2:
        return laid(draw, value)
    if kind == 3:
        return value[..., : draw.below(3)] if value.ndim else value
    if kind == 4 and value.dtype.kind in "fiu":
        with np.errstate(all="ignore"):
            return value.astype(draw.one_of(("f4", "f8", "f2", "i8", "u2", "i1")))
    changed = value.copy()
    for _ in range(1 + draw.below(3)):
        if changed.size:
            at = draw.below(min(changed.size, 256))
            if changed.dtype.kind == "f":
                with np.errstate(all="ignore"):
                    changed.flat[at] = np.asarray(draw.real()).astype(changed.dtype)
            elif changed.dtype.kind in "iu":
                size = 8 * changed.dtype.itemsize - (changed.dtype.kind == "i")
                changed.flat[at] = draw.integer() % (1 << size)
    return changed
