"""autocast on CPUs where PyTorch's own LSTM raises under it: oneDNN has no LSTM of that precision there.

What it would have given is the point, and not how: the core computes in float32, and results are rounded.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ._reading import weights_of


def stands_in(module: Any, input: Any) -> torch.dtype | None:
    """Return the dtype that results should have, where autocast is on and PyTorch's own cannot."""
    dtype = torch.get_autocast_dtype("cpu")
    # All others do without oneDNN's LSTM, whatever the CPU.
    if module.mode != "LSTM" or module.proj_size or isinstance(input, PackedSequence):
        return None
    weights = weights_of(module)
    if not isinstance(weights[0], Tensor) or weights[0].dtype is not torch.float32 or not weights[0].is_cpu:
        return None
    on_graph = torch.is_grad_enabled() and any(
        getattr(tensor, "requires_grad", False) for tensor in (input, *weights)
    )
    return None if works(dtype, on_graph) else dtype


@functools.cache
def works(dtype: torch.dtype, on_graph: bool) -> bool:
    """Whether PyTorch's LSTM runs under autocast to a dtype on this CPU. It says so nowhere: it is tried."""
    try:
        with torch.set_grad_enabled(on_graph), torch.autocast("cpu", dtype=dtype):
            torch.nn.LSTM(1, 1, device="cpu", dtype=torch.float32)(torch.zeros(1, 1, 1))
    except RuntimeError:
        return False
    return True


def widened(value: Any, dtype: torch.dtype) -> Any:
    """Return a tensor of autocast's dtype, or a pair of them, in float32; all else as it is."""
    if isinstance(value, (tuple, list)):
        return tuple(widened(each, dtype) for each in value)
    return value.float() if isinstance(value, Tensor) and value.dtype is dtype else value
