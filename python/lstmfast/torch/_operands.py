"""What the operators take, and refuse: whoever finds them in `torch.ops` may bring them anything.

The core reads memory by what x and the first weights say, so all others must be of their kind, as PyTorch's
own operators have it. A TypeError is for a tensor of the wrong kind, a ValueError for one that cannot be.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._run import Call

_FLOATS = (torch.float32, torch.float64)
_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
_AXES = {"h0": 3, "c0": 3, "dh_n": 3, "dc_n": 3, "reserve": 1}  # y and its gradient have those of x


def check(
    x: Tensor,
    weights: Sequence[Tensor],
    batch_sizes: Tensor | None,
    masks: Tensor | None = None,
    **others: Tensor | None,
) -> None:
    """Check dtypes and axes, for tensors without data, too; the sizes of all but x's axes are the core's."""
    if x.dtype not in _FLOATS:
        raise TypeError(f"lstmfast: x: expected float32 or float64, got {x.dtype}")
    axes = 3 if batch_sizes is None else 2
    _require(x, "x", x.dtype, axes)
    if len(weights) < 2 or weights[1].dim() != 2:
        raise ValueError("lstmfast: weights: expected matrices W_ih and W_hh first")
    for weight in weights:
        _require(weight, "weights", x.dtype, weight.dim())
    for name, tensor in others.items():
        if tensor is not None:
            _require(tensor, name, x.dtype, _AXES.get(name, axes))
    if masks is not None:
        _require(masks, "masks", torch.bool, axes + 1)
    if batch_sizes is not None:
        _require(batch_sizes, "batch_sizes", torch.int64, 1)


def check_cuts(batch_sizes: Tensor | None, lengths: Tensor | None, reset: Tensor | None) -> None:
    """Check dtypes and axes of what cuts rows, for tensors without data, too; the rest is for `_cuts`."""
    for name, tensor, axes in (("lengths", lengths, 1), ("reset", reset, 2)):
        if tensor is None:
            continue
        if batch_sizes is not None:
            raise ValueError(f"lstmfast: {name}: expected None beside batch_sizes")
        if tensor.is_complex() or (name == "lengths" and tensor.dtype not in _INTEGERS):
            expected = "integers" if name == "lengths" else "bools, or 0 and 1"
            raise TypeError(f"lstmfast: {name}: expected {expected}, got {tensor.dtype}")
        if tensor.dim() != axes:
            raise ValueError(f"lstmfast: {name}: expected {axes} axes, got shape {list(tensor.shape)}")


def check_begins(
    x: Tensor, batch_sizes: Tensor | None, cut_h: Tensor | None, cut_c: Tensor | None, has_memory: bool
) -> None:
    """Check dtypes and axes of what pieces begin from at a cut, for tensors without data, too."""
    for name, tensor in (("cut_h", cut_h), ("cut_c", cut_c)):
        if tensor is None:
            continue
        if batch_sizes is not None:
            raise ValueError(f"lstmfast: {name}: expected None beside batch_sizes")
        _require(tensor, name, x.dtype, 3)
    if cut_c is not None and not has_memory:
        raise ValueError("lstmfast: cut_c: expected None, for this cell has no c")
    if cut_h is not None and cut_c is not None and cut_h.shape[1] != cut_c.shape[1]:
        raise ValueError(
            f"lstmfast: cut_c: expected as many rows as cut_h, {cut_h.shape[1]}, got {cut_c.shape[1]}"
        )


def check_devices(x: Tensor, weights: Sequence[Tensor], *others: Tensor | None) -> None:
    """Check that all tensors are where x is.

    Of tensors without data alone: one of them among others would make the results memory that nobody wrote.
    """
    for tensor in (*weights, *others):
        if tensor is not None and tensor.device != x.device:
            raise TypeError(f"lstmfast: expected all tensors on {x.device}, as x, got one on {tensor.device}")


def check_values(x: Tensor, batch_sizes: Tensor | None) -> None:
    """Check what only data says: that there is something to do, and that rows leave in their order."""
    if x.numel() == 0:
        raise ValueError(f"lstmfast: x: expected at least one step and one row, got {list(x.shape)}")
    if batch_sizes is None:
        return
    sizes = batch_sizes.numpy()
    if len(sizes) == 0 or sizes[-1] < 0 or (sizes[1:] > sizes[:-1]).any() or sizes.sum() != len(x):
        raise ValueError(
            f"lstmfast: batch_sizes: expected integers >= 0 that do not rise and add up to x's {len(x)} rows"
        )


def check_wanted(wanted: Sequence[bool], weights: Sequence[Tensor], begins: int) -> None:
    """Check that it is said of x, h_0, c_0, each weight and `begins` more whether its gradient is wanted."""
    count = len(weights) + 3 + begins
    if len(wanted) != count:
        raise ValueError(f"lstmfast: wanted: expected {count} bools, got {len(wanted)}")


def check_states(
    call: Call, h0: Tensor | None, c0: Tensor | None, cut_h: Tensor | None, cut_c: Tensor | None
) -> None:
    """Check the sizes of states that the core does not look at."""
    h, c, rows, begins = call.spec.state_size, call.spec.hidden_size, call.rows, call.cut_rows
    for name, state, rows_of, width in (
        ("h0", h0, rows, h),
        ("c0", c0, rows, c),
        ("cut_h", cut_h, begins, h),
        ("cut_c", cut_c, begins, c),
    ):
        expected = (call.spec.depth, rows_of, width)
        if state is not None and state.shape != expected:
            raise ValueError(f"lstmfast: {name}: expected shape {list(expected)}, got {list(state.shape)}")


def _require(tensor: Tensor, name: str, dtype: torch.dtype, axes: int) -> None:
    if tensor.dtype is not dtype:
        raise TypeError(f"lstmfast: {name}: expected {dtype}, got {tensor.dtype}")
    if tensor.dim() != axes:
        raise ValueError(f"lstmfast: {name}: expected {axes} axes, got shape {list(tensor.shape)}")
