"""A JSON file, or what somebody has parsed of one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import checks
from ..checks import AnyArray
from .holding import CALLED


def parsed(value: object, convention: str) -> Mapping[str, Any]:
    """Read a file by its path; what is a mapping already is parsed."""
    if isinstance(value, Mapping):
        return value
    try:
        path = checks.path(value)
    except TypeError:
        raise TypeError(
            f"{CALLED}: expected the path of a file of {convention!r}, or what is parsed of it, a mapping,"
            f" got {checks.shown(value)}"
        ) from None
    with open(path, encoding="utf-8") as file:
        try:
            found = json.load(file)
        except ValueError as error:
            raise ValueError(
                f"{CALLED}: expected a file of {convention!r}, JSON, got {path!r}: {error}"
            ) from None
    if not isinstance(found, Mapping):
        raise ValueError(
            f"{CALLED}: expected a file of {convention!r} with an object, got {checks.shown(found)}"
        )
    return found


def item(value: object, name: str, called: str = CALLED) -> Any:  # noqa: ANN401 - of any type
    """Find what a parsed object must have."""
    if not isinstance(value, Mapping) or name not in value:
        raise ValueError(f"{called}: expected an object that has {name!r}, got {checks.shown(value)}")
    return value[name]


def numbers(value: object, called: str) -> AnyArray:
    """Read lists of numbers as the float32 that both files' programs compute in."""
    return checks.converted(checks.weight(value, called), np.dtype(np.float32))
