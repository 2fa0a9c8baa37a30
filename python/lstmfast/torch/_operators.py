"""The core as operators of `torch.library`: what compiled and exported graphs call.

Eager calls go past the dispatcher, which takes longer than a small layer; these are for those who trace. All
are functional, take and give tensors alone, and have implementations for tensors without data (fake ones,
`_operator_fakes`). x is [T, B, I] of any strides, or [N, I] of a packed sequence, beside its batch_sizes; c_n
is empty for an RNN. lengths [B] and reset [T, B] are what `LSTM.forward` takes by these names; cut_h and
cut_c, [L*D, B, S] and [L*D, B, H] or with one row for all, are its reset_to.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._base.kinds import BY_CELL
from .._base.parameters import count_of_pass
from . import _cuts, _operands, _run
from ._weights import CELLS, Spec, packed_of


def spec_of(x: Tensor, weights: list[Tensor], cell: str, bias: bool, bidirectional: bool) -> Spec:
    if cell not in CELLS.values():
        raise ValueError(f"lstmfast: cell: expected one of {list(CELLS.values())}, got {cell!r}")
    gate_rows, state_size = weights[1].shape
    hidden_size = gate_rows // BY_CELL[cell].gates
    proj_size = state_size if state_size != hidden_size else 0
    of_layer = count_of_pass(bias, proj_size > 0) * (2 if bidirectional else 1)
    return Spec(cell, x.shape[-1], hidden_size, len(weights) // of_layer, bidirectional, bias, proj_size)


def _prepared(
    x: Tensor,
    weights: list[Tensor],
    batch_sizes: Tensor | None,
    cell: str,
    bias: bool,
    bidirectional: bool,
    masks: Tensor | None = None,
    cuts: tuple[Tensor | None, ...] = (None, None, None, None),
    **others: Tensor | None,
) -> tuple[Any, _run.Call]:
    """Return the network of the weights, and the call, of tensors that are what they should be.

    cuts: lengths, reset, cut_h and cut_c.
    """
    _operands.check(x, weights, batch_sizes, masks, **others)
    lengths, reset, cut_h, cut_c = cuts
    _operands.check_cuts(batch_sizes, lengths, reset)
    _operands.check_values(x, batch_sizes)
    spec = spec_of(x, weights, cell, bias, bidirectional)
    _operands.check_begins(x, batch_sizes, cut_h, cut_c, spec.has_memory)
    threads = torch.get_num_threads()
    packed = packed_of(spec, weights)
    if not packed.fits(weights):
        raise RuntimeError(f"lstmfast: expected weights of shapes {list(packed.shapes)}")
    return packed.network(weights, threads), call_of(spec, x, batch_sizes, threads, *cuts)


def call_of(
    spec: Spec,
    x: Tensor,
    batch_sizes: Tensor | None,
    threads: int,
    lengths: Tensor | None,
    reset: Tensor | None,
    cut_h: Tensor | None,
    cut_c: Tensor | None,
) -> _run.Call:
    """Read a call's sizes off its tensors, and check what cuts its rows."""
    call = _run.call_of(spec, x, batch_sizes, threads)
    begin = cut_c if cut_h is None else cut_h
    if begin is not None:
        call = call._replace(cut_rows=begin.shape[1])
    return call if lengths is None and reset is None else _cuts.cut(call, lengths, reset)


def of_memory(tensor: Tensor | None, cell: str) -> Tensor | None:
    """Return what belongs to c, or None of a cell without: its c_n is empty, and the gradient unread."""
    return tensor if BY_CELL[cell].has_memory else None


def begins_of(cut_h: Tensor | None, cut_c: Tensor | None, cell: str) -> tuple[Tensor | None, ...]:
    """Put what pieces begin from at a cut together as `_cuts.begins` does."""
    if cut_h is None and cut_c is None:
        return ()
    return (cut_h, cut_c) if BY_CELL[cell].has_memory else (cut_h,)


def _empty_if_none(tensor: Tensor | None, like: Tensor) -> Tensor:
    return like.new_empty(0) if tensor is None else tensor


@torch.library.custom_op("lstmfast::infer", mutates_args=(), device_types="cpu")  # type: ignore[untyped-decorator]
def infer(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: list[Tensor],
    batch_sizes: Tensor | None,
    cell: str,
    bias: bool,
    bidirectional: bool,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    cut_h: Tensor | None = None,
    cut_c: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run forward and keep nothing: y, h_n, c_n."""
    cuts = (lengths, reset, cut_h, cut_c)
    network, call = _prepared(x, weights, batch_sizes, cell, bias, bidirectional, None, cuts, h0=h0, c0=c0)
    y, h_n, *c_n = _run.infer(network, call, x, h0, c0, begins_of(cut_h, cut_c, cell))
    return y, h_n, c_n[0] if c_n else x.new_empty(0)


@torch.library.custom_op("lstmfast::forward", mutates_args=(), device_types="cpu")  # type: ignore[untyped-decorator]
def forward(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: list[Tensor],
    batch_sizes: Tensor | None,
    masks: Tensor | None,
    mask_scale: float,
    cell: str,
    bias: bool,
    bidirectional: bool,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    recompute: bool = False,
    cut_h: Tensor | None = None,
    cut_c: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Run forward: y, h_n, c_n, and what backward needs. masks: [L-1, T, B, D*S] or [L-1, N, D*S], bool."""
    cuts = (lengths, reset, cut_h, cut_c)
    network, call = _prepared(x, weights, batch_sizes, cell, bias, bidirectional, masks, cuts, h0=h0, c0=c0)
    call = call._replace(recompute=recompute)
    dropout = _run.Dropout(masks, mask_scale)
    begins = begins_of(cut_h, cut_c, cell)
    (y, h_n, *c_n), reserve = _run.forward(network, call, x, h0, c0, dropout, clear=True, begins=begins)
    return y, h_n, c_n[0] if c_n else x.new_empty(0), reserve


@torch.library.custom_op("lstmfast::backward", mutates_args=(), device_types="cpu")  # type: ignore[untyped-decorator]
def backward(
    dy: Tensor | None,
    dh_n: Tensor | None,
    dc_n: Tensor | None,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    y: Tensor,
    reserve: Tensor,
    weights: list[Tensor],
    batch_sizes: Tensor | None,
    masks: Tensor | None,
    mask_scale: float,
    cell: str,
    bias: bool,
    bidirectional: bool,
    wanted: list[bool],
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    recompute: bool = False,
    cut_h: Tensor | None = None,
    cut_c: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    """Go back: gradients of x, h_0, c_0 and the weights; empty where not `wanted` (x, h_0, c_0, each weight).

    With cut_h or cut_c, those of both (of cut_h alone where there is no c) are behind the weights' in either.

    The values of h_0 and c_0 are in what forward kept; here they stand for what gradients depend on.
    """
    _operands.check_wanted(wanted, weights, len(begins_of(cut_h, cut_c, cell)))
    given = {"dy": dy, "dh_n": dh_n, "dc_n": of_memory(dc_n, cell), "y": y, "reserve": reserve}
    given |= {"h0": h0, "c0": of_memory(c0, cell)}
    cuts = (lengths, reset, cut_h, cut_c)
    network, call = _prepared(x, weights, batch_sizes, cell, bias, bidirectional, masks, cuts, **given)
    call = call._replace(recompute=recompute)
    _operands.check_states(call, h0, of_memory(c0, cell), cut_h, cut_c)
    grads = (dy, dh_n, dc_n) if BY_CELL[cell].has_memory else (dy, dh_n)
    dropout = _run.Dropout(masks, mask_scale)
    dx, dh0, dc0, *dweights = _run.gradients(network, call, grads, x, y, reserve, wanted, dropout)
    return (
        _empty_if_none(dx, x),
        _empty_if_none(dh0, x),
        _empty_if_none(dc0, x),
        [_empty_if_none(dw, x) for dw in dweights],
    )
