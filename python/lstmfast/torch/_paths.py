"""Which way a call goes: to the core, or along PyTorch's own path, and why.

PyTorch's path takes all that the core does not, mistakes included: then the error is PyTorch's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.utils.rnn import PackedSequence

_DTYPES = (torch.float32, torch.float64)
_PLAIN = (Tensor, torch.nn.Parameter)

# What tells which modes PyTorch is in is not documented: a version without it is noticed at import.
try:
    _tracing_state = torch._C._get_tracing_state
    _any_autocast = torch._C._is_any_autocast_enabled
    transforms_active = torch._C._are_functorch_transforms_active
    _is_wrapped = torch._C._functorch.is_functorch_wrapped_tensor
    will_run = torch._C._will_engine_execute_node
    backward_pass = torch._C._current_graph_task_id
    dispatch_modes = torch._C._len_torch_dispatch_stack
    _ = forward_ad._current_level
except AttributeError as error:
    raise ImportError(
        f"lstmfast.torch does not know PyTorch {torch.__version__}, and was tested with 2.13: {error}"
    ) from None


AUTOCAST = "autocast is on for the CPU: lower precision is PyTorch's own"


def is_recorded() -> bool:
    """Whether torch.jit.trace or torch.onnx.export is at work, which keep what only data says as it is."""
    return _tracing_state() is not None or torch.onnx.is_in_onnx_export()


def is_transformed() -> bool:
    """Whether torch.func or forward-mode differentiation wants to see each operator."""
    return bool(transforms_active() or forward_ad._current_level >= 0)


def refusal_of_mode() -> str | None:
    """Say what PyTorch is doing just now that the core takes no part in, if anything."""
    if _tracing_state() is not None:
        return "torch.jit.trace is recording"
    if transforms_active():
        return "a transform of torch.func (grad, vmap, jvp, ...) is at work"
    if forward_ad._current_level >= 0:
        return "forward-mode differentiation is at work"
    if _any_autocast() and torch.is_autocast_enabled("cpu"):  # the last: something may stand in for it
        return AUTOCAST
    return None


def refusal_of_tensor(tensor: Any, name: str, dtype: torch.dtype) -> str | None:
    """Say why a tensor is not one that the core can read, if it is not."""
    if type(tensor) not in _PLAIN:
        return f"{name} is no plain tensor but a {type(tensor).__name__}"
    if not tensor.is_cpu:
        return f"{name} is on the device {tensor.device}"
    if tensor.dtype is not dtype:
        return f"{name} is of {tensor.dtype}, not {dtype}"
    if tensor.layout is not torch.strided or tensor.is_nested:
        return f"{name} is no dense tensor"
    if tensor.is_neg():
        return f"{name} is a lazily negated view"
    if _is_wrapped(tensor):  # and no transform is at work any more
        return f"{name} is left over from a transform of torch.func"
    return None


def is_for_core(tensor: Any, dtype: torch.dtype) -> bool:
    """Whether a tensor is one that the core can read: whether `refusal_of_tensor` has nothing to say."""
    return (
        type(tensor) in _PLAIN
        and tensor.dtype is dtype
        and tensor.is_cpu
        and tensor.layout is torch.strided
        and not tensor.is_nested
        and not tensor.is_neg()
        and not _is_wrapped(tensor)
    )


def refusal_of_weights(weights: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> str | None:
    """Say why weights cannot be packed, if they cannot."""
    if len(weights) != len(shapes):
        return f"there are {len(weights)} weights, not {len(shapes)}"
    dtype = getattr(weights[0], "dtype", None)
    if dtype not in _DTYPES:
        return f"the weights are of {dtype}, not float32 or float64"
    for weight, shape in zip(weights, shapes, strict=True):
        if reason := refusal_of_tensor(weight, "a weight", dtype):
            return reason
        if weight.shape != shape:
            return f"a weight has the shape {tuple(weight.shape)}, not {shape}"
    return None


def refusal_of_input(x: Any, input_size: int, dtype: torch.dtype) -> str | None:
    """Say why an input, or a packed one's data, is not for the core, if it is not."""
    if reason := refusal_of_tensor(x, "the input", dtype):
        return reason
    if x.dim() not in (2, 3) or x.shape[-1] != input_size or x.numel() == 0:
        return f"the input's shape {tuple(x.shape)} is empty or not for input_size={input_size}"
    return None


def refusal_of_state(state: Any, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> str | None:
    """Say why h_0 or c_0 is not for the core, if it is not."""
    if reason := refusal_of_tensor(state, name, dtype):
        return reason
    return None if state.shape == shape else f"{name} has the shape {tuple(state.shape)}, not {shape}"


def refusal_of_packing(packed: PackedSequence) -> str | None:
    """Say why a packed sequence's batch_sizes are not what PyTorch makes, if they are not."""
    sizes = packed.batch_sizes
    if reason := refusal_of_tensor(sizes, "batch_sizes", torch.int64):
        return reason
    if sizes.dim() != 1 or not sizes.is_contiguous() or len(sizes) == 0:
        return "batch_sizes are no row of integers"
    array = sizes.numpy()
    if array[-1] < 1 or (array[1:] > array[:-1]).any() or array.sum() != len(packed.data):
        return "batch_sizes do not descend, or do not add up to the rows of data"
    return None
