"""Shapes of what the operators give, for tensors without data."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import _operands, _reserve
from ._operators import backward, begins_of, forward, infer, of_memory, spec_of


def _fake_results(
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
    _operands.check(x, weights, batch_sizes, h0=h0, c0=c0)
    _operands.check_cuts(batch_sizes, lengths, reset)
    _operands.check_devices(x, weights, h0, c0, batch_sizes, lengths, reset, cut_h, cut_c)
    spec = spec_of(x, weights, cell, bias, bidirectional)
    _operands.check_begins(x, batch_sizes, cut_h, cut_c, spec.has_memory)
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
    cell: str,
    bias: bool,
    bidirectional: bool,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    recompute: bool = False,
    cut_h: Tensor | None = None,
    cut_c: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    config = (cell, bias, bidirectional)
    y, h_n, c_n = _fake_results(x, h0, c0, weights, batch_sizes, *config, lengths, reset, cut_h, cut_c)
    _operands.check(x, weights, batch_sizes, masks)
    _operands.check_devices(x, (), masks)
    places = x.shape[0] if batch_sizes is not None else x.shape[0] * x.shape[1]
    spec = spec_of(x, weights, *config)
    begin = cut_c if cut_h is None else cut_h
    cut_rows = 0 if begin is None else begin.shape[1]
    dropout = masks is not None
    size = _reserve.size(spec, places, h_n.shape[1], x.dtype.itemsize, dropout, recompute, cut_rows)
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
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    recompute: bool = False,
    cut_h: Tensor | None = None,
    cut_c: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    begins = begins_of(cut_h, cut_c, cell)
    _operands.check_wanted(wanted, weights, len(begins))
    given = {"dy": dy, "dh_n": dh_n, "dc_n": of_memory(dc_n, cell), "y": y, "reserve": reserve}
    given |= {"h0": h0, "c0": of_memory(c0, cell)}
    _operands.check(x, weights, batch_sizes, masks, **given)
    _operands.check_cuts(batch_sizes, lengths, reset)
    others = (dy, dh_n, dc_n, h0, c0, y, reserve, batch_sizes, masks, lengths, reset, *begins)
    _operands.check_devices(x, weights, *others)
    spec = spec_of(x, weights, cell, bias, bidirectional)
    _operands.check_begins(x, batch_sizes, cut_h, cut_c, spec.has_memory)
    x_wanted, h0_wanted, c0_wanted, *others_wanted = wanted
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
            x.new_empty(0 if tensor is None or not is_wanted else tensor.shape)
            for tensor, is_wanted in zip((*weights, *begins), others_wanted, strict=True)
        ],
    )
