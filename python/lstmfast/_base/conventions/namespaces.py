"""What is done to arrays of any kind: NumPy's, JAX' (traced ones too), tensors of PyTorch's."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

Numbers: TypeAlias = Any  # an array of any namespace
Namespace: TypeAlias = Any  # a module with concatenate, stack and full_like


def namespace(array: Numbers) -> Namespace:
    """Find the module whose functions take an array; of whatever says nothing of it, NumPy."""
    if type(array).__module__.partition(".")[0] == "torch":
        return sys.modules["torch"]
    own = getattr(array, "__array_namespace__", None)
    return np if own is None else own()


def turned(array: Numbers) -> Numbers:
    """Turn a matrix."""
    return array.T


def joined(arrays: Sequence[Numbers], axis: int = 0) -> Numbers:
    """Put arrays one behind the other; of one alone, itself."""
    if len(arrays) == 1:
        return arrays[0]
    return namespace(arrays[0]).concatenate(list(arrays), axis)


def stacked(arrays: Sequence[Numbers]) -> Numbers:
    """Put arrays one above the other, on a first axis that is new."""
    return namespace(arrays[0]).stack(list(arrays))


def filled(array: Numbers, number: float) -> Numbers:
    """Make an array like this one, of one number."""
    return namespace(array).full_like(array, number)


def is_zero(array: Numbers) -> bool:
    """Tell whether it has nothing but zeros. A traced array cannot tell, and raises."""
    return not bool((array != 0).any())
