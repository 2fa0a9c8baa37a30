"""Floats as models have them, bfloat16 among them, which NumPy has not."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._base import checks
from .._base.checks import AnyArray, Array
from .._small import rounding

_BFLOAT16 = "bfloat16"


def of_tensor(onnx: Any, tensor: Any) -> AnyArray:
    """Return a tensor's numbers; of bfloat16 widened to float32 where onnx is older than 1.19.

    From then on it makes an array of them. Before, it depends: 1.17 reads nothing of the tensor's raw bytes.
    """
    array = np.asarray(onnx.numpy_helper.to_array(tensor))
    if tensor.data_type != onnx.TensorProto.BFLOAT16 or array.dtype.name == _BFLOAT16:
        return array
    bits = np.frombuffer(tensor.raw_data, "<u2") if tensor.raw_data else np.array(tensor.int32_data)
    return rounding.from_bfloat16(bits.astype(np.uint16).reshape(tuple(tensor.dims)))


def kind_of(onnx: Any, array: AnyArray, tensor: Any) -> str:
    """Name the kind of an array's numbers, in the model. tensor: from which it comes, if it does from one."""
    if tensor is not None and tensor.data_type == onnx.TensorProto.BFLOAT16:
        return _BFLOAT16
    return array.dtype.name


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
