"""The core as operators of `torch.library`: what compiled and exported graphs call.

Eager calls go past the dispatcher, which takes longer than a small layer; these are for those who trace. All
are functional, take and give tensors alone, and have implementations for tensors without data (fake ones). x
is [T, B, I] of any strides, or [N, I] of a packed sequence, beside its batch_sizes; c_n is empty for an RNN.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._base.kinds import BY_CELL
from . import _operands, _run
from ._weights import Spec, packed_of

# Sizes of parts of a tape are rounded up to cache lines.
_LINE_BYTES = 64


def spec_of(x: Tensor, weights: list[Tensor], cell: str, bias: bool, bidirectional: bool) -> Spec:
    if cell not in BY_CELL:
        raise ValueError(f"lstmfast: cell: expected one of {list(BY_CELL)}, got {cell!r}")
    gate_rows, state_size = weights[1].shape
    hidden_size = gate_rows // BY_CELL[cell].gates
    proj_size = state_size if state_size != hidden_size else 0
    of_layer = ((4 if bias else 2) + (1 if proj_size else 0)) * (2 if bidirectional else 1)
    return Spec(cell, x.shape[-1], hidden_size, len(weights) // of_layer, bidirectional, bias, proj_size)


def _prepared(
    x: Tensor,
    weights: list[Tensor],
    batch_sizes: Tensor | None,
    cell: str,
    bias: bool,
    bidirectional: bool,
    masks: Tensor | None = None,
    **others: Tensor | None,
) -> tuple[Any, _run.Call]:
    """Return the network of the weights, and the call, of tensors that are what they should be."""
    _operands.check(x, weights, batch_sizes, masks, **others)
    _operands.check_values(x, batch_sizes)
    spec = spec_of(x, weights, cell, bias, bidirectional)
    threads = torch.get_num_threads()
    packed = packed_of(spec, weights)
    if not packed.fits(weights):
        raise RuntimeError(f"lstmfast: expected weights of shapes {list(packed.shapes)}")
    call = _run.call_of(spec, x, batch_sizes, threads)
    return packed.network(weights, threads), call


def _of_memory(tensor: Tensor | None, cell: str) -> Tensor | None:
    """Return what belongs to c, or None of a cell without: its c_n is empty, and the gradient unread."""
    return tensor if BY_CELL[cell].has_memory else None


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
) -> tuple[Tensor, Tensor, Tensor]:
    """Run forward and keep nothing: y, h_n, c_n."""
    network, call = _prepared(x, weights, batch_sizes, cell, bias, bidirectional, h0=h0, c0=c0)
    y, h_n, *c_n = _run.infer(network, call, x, h0, c0)
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
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Run forward: y, h_n, c_n, and what backward needs. masks: [L-1, T, B, D*S] or [L-1, N, D*S], bool."""
    network, call = _prepared(x, weights, batch_sizes, cell, bias, bidirectional, masks, h0=h0, c0=c0)
    dropout = _run.Dropout(masks, mask_scale)
    (y, h_n, *c_n), reserve = _run.forward(network, call, x, h0, c0, dropout)
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
) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    """Go back: gradients of x, h_0, c_0 and the weights; empty where not `wanted` (x, h_0, c_0, each weight).

    The values of h_0 and c_0 are in what forward kept; here they stand for what gradients depend on.
    """
    _operands.check_wanted(wanted, weights)
    given = {"dy": dy, "dh_n": dh_n, "dc_n": _of_memory(dc_n, cell), "y": y, "reserve": reserve}
    given |= {"h0": h0, "c0": _of_memory(c0, cell)}
    network, call = _prepared(x, weights, batch_sizes, cell, bias, bidirectional, masks, **given)
    _operands.check_states(call, h0, _of_memory(c0, cell))
    grads = _grads_of(cell, dy, dh_n, dc_n)
    dropout = _run.Dropout(masks, mask_scale)
    dx, dh0, dc0, *dweights = _run.gradients(network, call, grads, x, y, reserve, wanted, dropout)
    return (
        _empty_if_none(dx, x),
        _empty_if_none(dh0, x),
        _empty_if_none(dc0, x),
        [_empty_if_none(dw, x) for dw in dweights],
    )


def _grads_of(cell: str, dy: Any, dh_n: Any, dc_n: Any) -> tuple[Any, ...]:
    """Take the gradients that a cell has."""
    return (dy, dh_n, dc_n) if BY_CELL[cell].has_memory else (dy, dh_n)


# Shapes alone, for tensors without data.


def _fake_results(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: list[Tensor],
    batch_sizes: Tensor | None,
    cell: str,
    bias: bool,
    bidirectional: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    _operands.check(x, weights, batch_sizes, h0=h0, c0=c0)
    _operands.check_devices(x, weights, h0, c0, batch_sizes)
    spec = spec_of(x, weights, cell, bias, bidirectional)
    if batch_sizes is None:
        rows = x.shape[1]
    elif h0 is not None:
        rows = h0.shape[1]
    else:
        raise RuntimeError("lstmfast: expected h0 beside batch_sizes: only it says how many rows there are")
    y = x.new_empty((*x.shape[:-1], spec.features))
    h_n = x.new_empty((spec.depth, rows, spec.state_size))
    return y, h_n, x.new_empty((spec.depth, rows, spec.hidden_size) if spec.has_memory else 0)


infer.register_fake(_fake_results)


@forward.register_fake  # type: ignore[untyped-decorator]
def _(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: list[Tensor],
    batch_sizes: Tensor | None,
    masks: Tensor | None,
    mask_scale: float,
    *config: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    y, h_n, c_n = _fake_results(x, h0, c0, weights, batch_sizes, *config)
    _operands.check(x, weights, batch_sizes, masks)
    _operands.check_devices(x, (), masks)
    places = x.shape[0] if batch_sizes is not None else x.shape[0] * x.shape[1]
    size = reserve_size(
        spec_of(x, weights, *config), places, h_n.shape[1], x.dtype.itemsize, masks is not None
    )
    return y, h_n, c_n, x.new_empty(size)


@backward.register_fake  # type: ignore[untyped-decorator]
def _(
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
) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    _operands.check_wanted(wanted, weights)
    given = {"dy": dy, "dh_n": dh_n, "dc_n": _of_memory(dc_n, cell), "y": y, "reserve": reserve}
    given |= {"h0": h0, "c0": _of_memory(c0, cell)}
    _operands.check(x, weights, batch_sizes, masks, **given)
    _operands.check_devices(x, weights, dy, dh_n, dc_n, h0, c0, y, reserve, batch_sizes, masks)
    spec = spec_of(x, weights, cell, bias, bidirectional)
    x_wanted, h0_wanted, c0_wanted, *weights_wanted = wanted
    states: list[Any] = [0, 0]
    if h0_wanted or c0_wanted:
        if batch_sizes is None:
            rows = x.shape[1]
        else:
            given_rows = [tensor.shape[1] for tensor in (h0, dh_n) if tensor is not None]
            rows = given_rows[0] if given_rows else torch.library.get_ctx().new_dynamic_size()
        if h0_wanted:
            states[0] = (spec.depth, rows, spec.state_size)
        if c0_wanted and spec.has_memory:
            states[1] = (spec.depth, rows, spec.hidden_size)
    return (
        x.new_empty(x.shape if x_wanted else 0),
        x.new_empty(states[0]),
        x.new_empty(states[1]),
        [
            x.new_empty(w.shape if is_wanted else 0)
            for w, is_wanted in zip(weights, weights_wanted, strict=True)
        ],
    )


def reserve_size(spec: Spec, places: int, rows: int, itemsize: int, dropout: bool) -> int:
    """Count the numbers of what forward keeps: `tape_size` of the core, for sizes that may be symbols.

    Compiled graphs that Inductor has cached on disk hold this size, and do not ask again: another layout of
    the tape needs another name of the operators.
    """
    parts = [places * spec.features] * ((spec.num_layers - 1) * (2 if dropout else 1))
    if spec.has_memory:  # gates, c and c_0; an RNN's gate is h
        parts += [
            places * BY_CELL[spec.cell].gates * spec.hidden_size,
            places * spec.hidden_size,
        ] * spec.depth
        parts.append(spec.depth * rows * spec.hidden_size)
    parts.append(spec.depth * rows * spec.state_size)  # h_0
    line = _LINE_BYTES // itemsize
    return sum((part + line - 1) // line * line for part in parts)
