"""`lengths`, `reset` and `reset_to` of a call: where rows end, where they begin anew and from what.

All mean what they mean in lstmfast.LSTM, whose checks and words these are. Beside arrays and lists the first
two may be tensors, of any device; and marks may be 0 and 1 of any dtype, for many programs keep them among
floats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from .._base import checks, sequences
from . import _run
from ._weights import MEMORY

_functorch = torch._C._functorch
_MARKS = "an array of bools, or of 0 and 1"


def cut(call: _run.Call, lengths: Any, reset: Any) -> _run.Call:
    """Return the call with `lengths` and `reset`, checked and copied; None is all of T, and nowhere.

    Raises
    ------
    TypeError, ValueError
        If one is of another kind, shape or value than `LSTM.forward` says; the message names it.
    """
    batched = call.layout != _run.UNBATCHED
    ends = starts = None
    if lengths is not None:
        if isinstance(lengths, Tensor):
            lengths = _array_of(lengths, "lengths")
        ends = sequences.ends(lengths, call.steps, call.rows, batched)
    if reset is not None:
        batch_first = call.layout == _run.BATCH_FIRST
        starts = sequences.starts(_as_bools(reset), call.steps, call.rows, batched, batch_first)
    return call._replace(lengths=ends, reset=starts)


def as_tensors(
    x: Tensor, unbatched: bool, batch_first: bool, lengths: Any, reset: Any
) -> tuple[Tensor | None, Tensor | None]:
    """Return both for the operators, lengths [B] and reset [T, B], of an x that was not turned yet.

    Nothing here looks at shapes or data: the operators check them when they run.
    """
    if lengths is not None:
        lengths = torch.as_tensor(lengths, device=x.device).detach()
        if unbatched:
            lengths = lengths.unsqueeze(0)
    if reset is not None:
        reset = torch.as_tensor(reset, device=x.device).detach()
        if unbatched:
            reset = reset.unsqueeze(1)
        elif batch_first and reset.dim() == 2:
            reset = reset.transpose(0, 1)
    return lengths, reset


def begins(module: Any, reset_to: Any, x: Tensor, rows: int, batched: bool) -> tuple[Tensor | None, ...]:
    """Return what pieces begin from at a cut, h [L*D, B, S] and of an LSTM c [L*D, B, H], or None for zero.

    With one row for all where it came without the axis of rows. () where nothing was given.

    Raises
    ------
    TypeError, ValueError
        If it is no such state; the message names the part.
    """
    memory = MEMORY[module.mode]
    halves = [reset_to]
    if memory and reset_to is not None:
        if not isinstance(reset_to, (tuple, list)):
            raise TypeError(f"reset_to: expected a pair (h, c), got {shown(reset_to)}")
        if len(reset_to) != 2:
            raise ValueError(f"reset_to: expected a pair (h, c), got {len(reset_to)} parts")
        halves = list(reset_to)
    if all(half is None for half in halves):
        return ()
    depth = module.num_layers * (2 if module.bidirectional else 1)
    widths = (module.proj_size or module.hidden_size, module.hidden_size)
    names = ("reset_to: h", "reset_to: c") if memory else ("reset_to",)
    found = [
        None if half is None else _begin(half, name, (depth, rows, width), x, batched)
        for half, name, width in zip(halves, names, widths, strict=False)  # one without memory has no c
    ]
    given = [half for half in found if half is not None]
    if given[0].shape[1] != given[-1].shape[1]:
        raise ValueError("reset_to: expected h and c both with an axis of rows, or both without one")
    return tuple(found)


def _begin(half: Any, name: str, shape: tuple[int, int, int], x: Tensor, batched: bool) -> Tensor:
    """Check one half; return it with an axis of rows."""
    if not isinstance(half, Tensor):
        raise TypeError(f"{name}: expected a tensor, got {shown(half)}")
    depth, _, width = shape
    shared = half.dim() == 2
    if half.shape != ((depth, width) if shared else shape) or not (shared or batched):
        expected = f"{shape} or {(depth, width)}" if batched else f"{(depth, width)}"
        raise ValueError(f"{name}: expected shape {expected}, got {tuple(half.shape)}")
    if shared:
        half = half.unsqueeze(1)
    if half.dtype != x.dtype and half.is_floating_point() and torch.is_autocast_enabled(x.device.type):
        half = half.to(x.dtype)
    if half.dtype != x.dtype or half.device != x.device:
        expected = f"{x.dtype} on {x.device}"
        raise TypeError(f"{name}: expected {expected}, as the input, got {half.dtype} on {half.device}")
    return half


def refuse_beside_packed(input: Any, lengths: Any, reset: Any, reset_to: Any = None) -> None:
    """Raise a TypeError if one is given beside a PackedSequence, which says itself where its rows end."""
    if isinstance(input, PackedSequence):
        name, value = first_given(lengths, reset, reset_to)
        raise TypeError(f"{name}: expected None beside a PackedSequence, got {shown(value)}")


def first_given(lengths: Any, reset: Any, reset_to: Any) -> tuple[str, Any]:
    """Return the name and the value of the first that is not None; one is not."""
    named = (("lengths", lengths), ("reset", reset), ("reset_to", reset_to))
    return next((name, value) for name, value in named if value is not None)


def shown(value: Any) -> str:
    """Say what a value is, in a few words."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and dtype {value.dtype}"
    return checks.shown(value)


def _as_bools(reset: Any) -> NDArray[np.bool_]:
    """Turn 0 and 1 of any dtype into bools."""
    if isinstance(reset, (list, tuple)) and not reset:
        return np.zeros(0, np.bool_)  # of no steps; NumPy takes an empty list for floats
    if isinstance(reset, Tensor):
        if reset.is_complex():
            raise TypeError(f"reset: expected {_MARKS}, got {shown(reset)}")
        reset = _array_of(reset, "reset")
    values = checks.array_of(reset, "reset", "biuf", _MARKS)
    if values.dtype == np.bool_:
        return values
    marks: NDArray[np.bool_] = values != 0
    wrong = np.argwhere(marks & (values != 1))
    if len(wrong):
        place = wrong[0]
        raise ValueError(f"reset: expected {_MARKS}, got {values[tuple(place)].item()} at {place.tolist()}")
    return marks


def _array_of(tensor: Tensor, name: str) -> NDArray[Any]:
    """See a tensor as an array, wherever it is and whatever transform of torch.func is at work."""
    while _functorch.is_functorch_wrapped_tensor(tensor):
        if _functorch.is_batchedtensor(tensor):
            raise TypeError(f"{name}: expected the same for all that vmap runs over, got one for each")
        tensor = _functorch.get_unwrapped(tensor)
    with torch._C._DisableFuncTorch():
        tensor = tensor.detach().cpu()
        array: NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array
