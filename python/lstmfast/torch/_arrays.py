"""Tensors as arrays, without PyTorch noticing."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import _core
from .._base.checks import READY

AnyArray: TypeAlias = NDArray[Any]

_OVER: dict[Any, Any] = {
    torch.float32: _core.array32_over,
    torch.float64: _core.array64_over,
    torch.bool: _core.bools_over,
}


def array_of(tensor: Tensor) -> AnyArray:
    """See a CPU tensor as an array, whether or not it is on a graph.

    Not by its `numpy()`, after which PyTorch lets nobody resize its memory; FSDP does that to weights.
    """
    if tensor.is_neg():  # a view of what its memory holds, negated: gradients of complex numbers may be
        tensor = tensor.resolve_neg()
    array: AnyArray = _OVER[tensor.dtype](tensor.data_ptr(), tensor.shape, tensor.stride(), tensor)
    return array


def dense(array: AnyArray) -> AnyArray:
    """Return an array that is C-ordered and aligned, itself if it is."""
    return array if array.flags.num & READY == READY else np.array(array, order="C")
