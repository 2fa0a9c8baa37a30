"""Floats as models have them, bfloat16 among them, which NumPy has not."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._base import checks
from .._base.checks import AnyArray, Array
from .._small import rounding

_BFLOAT16 = "bfloat16"


def name_of(array: AnyArray) -> str:
    """Name the kind of an array's numbers. bfloat16 is a field of that name before onnx 1.19."""
    return _BFLOAT16 if array.dtype.names == (_BFLOAT16,) else array.dtype.name


def widened(array: AnyArray, dtype: np.dtype[Any]) -> Array:
    """Convert to a dtype of ours, of which no number is lost."""
    if array.dtype.names == (_BFLOAT16,):
        return rounding.from_bfloat16(array.view(np.uint16))
    return array.astype(dtype)


def rounded(onnx: Any, array: Array, kind: str) -> Any:
    """Make a tensor of an array, in a kind of floats.

    Raises
    ------
    ValueError
        If a number is larger than the largest of the kind.
    """
    if kind == _BFLOAT16:
        bits, lost = rounding.to_bfloat16(array.astype(np.float32))
        tensor = onnx.helper.make_tensor("", onnx.TensorProto.BFLOAT16, array.shape, bits.tobytes(), raw=True)
    else:
        with checks.quiet():
            numbers = array.astype(kind)
        lost = int(np.isinf(numbers).sum() - np.isinf(array).sum())
        tensor = onnx.numpy_helper.from_array(numbers)
    if lost:
        raise ValueError(f"expected numbers that {kind} has, as the node's are, got {lost} larger ones")
    return tensor
