"""One step of the compiled core, from tensors to tensors: `_run` for a single step of one layer.

x is [B, I] or [I], states are [B, H] or [H]; or as a module of sequences has them, for one step. A loop in
Python makes thousands of these calls, so the core gets addresses, and no arrays are made.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor

from .. import _core
from . import _reserve, _run
from ._weights import Spec

_Maybe: TypeAlias = Tensor | None


class Sizes:
    """What all calls of so many rows have in common."""

    def __init__(
        self,
        spec: Spec,
        rows: int,
        x: tuple[int, ...],
        state: tuple[int, ...],
        threads: int,
        dtype: torch.dtype,
    ) -> None:
        """x, state: the shapes of a call's x and state but for their last axis."""
        self.of_x, self.of_state = (*x, spec.input_size), (*state, spec.hidden_size)
        self.of_y = (*x, spec.hidden_size)
        self.spec, self.rows, self.threads, self.dtype = spec, rows, threads, dtype
        self.call = _run.Call(spec, _run.TIME_MAJOR, 1, rows, None, threads)  # of the same step
        self.has_memory = spec.has_memory
        # What forward keeps: the tape, and h once more behind it.
        self.tape = _reserve.size(spec, rows, rows, dtype.itemsize, dropout=False)
        self.of_h = self.tape * dtype.itemsize  # bytes before
        # To make it like this one takes less time than to name its dtype.
        one = torch.empty((), dtype=dtype, device="cpu")
        self.kept = one.expand(self.tape + rows * spec.hidden_size)

    def parts_of(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Take what forward kept apart: the tape, as that of a layer's call of one step, and h, [rows, H]."""
        return kept[: self.tape], kept[self.tape :].view(self.rows, self.spec.hidden_size)


def sizes_of(spec: Spec, x: Tensor, threads: int) -> Sizes | None:
    """Read a call's sizes off x; None where that is empty, or for another layer."""
    shape = tuple(x.shape)
    if len(shape) not in (1, 2) or shape[-1] != spec.input_size or 0 in shape:
        return None
    lead = shape[:-1]
    return Sizes(spec, lead[0] if lead else 1, lead, lead, threads, x.dtype)


def sizes_of_call(call: _run.Call, x: Tensor) -> Sizes:
    """Return those of a call of a module of sequences, of one step: x is [1, B, I], [B, 1, I] or [1, I]."""
    state = (1,) if call.layout == _run.UNBATCHED else (1, call.rows)
    return Sizes(call.spec, call.rows, tuple(x.shape[:-1]), state, call.threads, x.dtype)


def infer(network: Any, sizes: Sizes, x: Tensor, h: _Maybe, c: _Maybe) -> tuple[Tensor, _Maybe]:
    """Run a step and keep nothing: the new h and, of an LSTM, c."""
    x = _laid(x)
    h, at_h, new_h, at_new_h = _state(sizes, h)
    c, at_c, new_c, at_new_c = _state(sizes, c) if sizes.has_memory else _NO_STATE
    _core.cell_infer(network, sizes.threads, sizes.rows, x.data_ptr(), at_h, at_c, at_new_h, at_new_c)
    return new_h, new_c


def forward(network: Any, sizes: Sizes, x: Tensor, h: _Maybe, c: _Maybe) -> tuple[Tensor, _Maybe, Tensor]:
    """Run a step: the new h and, of an LSTM, c; and what backward needs."""
    x = _laid(x)
    h, at_h, new_h, at_new_h = _state(sizes, h)
    c, at_c, new_c, at_new_c = _state(sizes, c) if sizes.has_memory else _NO_STATE
    kept = torch.empty_like(sizes.kept)
    at = kept.data_ptr()
    if at % 64:  # PyTorch's own memory is not so, but that of an allocator in its place may be
        kept = torch.from_numpy(_run.kept_array(sizes.dtype, kept.numel()))
        at = kept.data_ptr()
    given = x.data_ptr(), at_h, at_c, at_new_h, at_new_c
    _core.cell_forward(network, sizes.threads, sizes.rows, *given, at + sizes.of_h, at)
    return new_h, new_c, kept


def back(
    network: Any, sizes: Sizes, x: Tensor, kept: Tensor, dh: _Maybe, dc: _Maybe, wants_x: bool
) -> tuple[_Maybe, Tensor, _Maybe]:
    """Go back: the gradients of x, if it is wanted, and of the state before."""
    x, kept = _laid(x), aligned(kept)
    dh, at_dh, dh0, at_dh0 = _state(sizes, dh)
    dc, at_dc, dc0, at_dc0 = _state(sizes, dc) if sizes.has_memory else _NO_STATE
    dx = torch.empty_like(x) if wants_x else None
    at = kept.data_ptr()
    given = x.data_ptr(), at + sizes.of_h, at, at_dh, at_dc
    _core.cell_backward(
        network, sizes.threads, sizes.rows, *given, 0 if dx is None else dx.data_ptr(), at_dh0, at_dc0
    )
    return dx, dh0, dc0


_NO_STATE = None, 0, None, 0


def _state(sizes: Sizes, state: _Maybe) -> tuple[_Maybe, int, Tensor, int]:
    """Return a state (or its gradient) as the core reads it, room for another one, and where both are."""
    if state is None:
        new = torch.empty(sizes.of_state, dtype=sizes.dtype, device="cpu")
        return None, 0, new, new.data_ptr()
    state = _laid(state)
    new = torch.empty_like(state)
    return state, state.data_ptr(), new, new.data_ptr()


def _laid(tensor: Tensor) -> Tensor:
    """Return a tensor as the core reads it: dense and aligned, itself if it is."""
    if tensor.is_contiguous() and not tensor.data_ptr() % tensor.itemsize:
        return tensor
    return tensor.detach().clone(memory_format=torch.contiguous_format)


def aligned(kept: Tensor) -> Tensor:
    """Return what forward kept as the core wants it: a hook on saved tensors may have moved it."""
    if kept.is_contiguous() and not kept.data_ptr() % 64:
        return kept
    copy: Tensor = torch.from_numpy(_run.kept_array(kept.dtype, kept.numel()))
    return copy.copy_(kept.detach())
