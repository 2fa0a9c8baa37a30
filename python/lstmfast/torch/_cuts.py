"""`lengths` and `reset` of a call: where rows end, and where they begin anew, as the core takes it.

Both mean what they mean in lstmfast.LSTM, whose checks and words these are. Beside arrays and lists they may
be tensors, of any device; and marks may be 0 and 1 of any dtype, for many programs keep them among floats.
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


def refuse_beside_packed(input: Any, lengths: Any, reset: Any) -> None:
    """Raise a TypeError if one is given beside a PackedSequence, which says itself where its rows end."""
    if isinstance(input, PackedSequence):
        name, value = ("reset", reset) if lengths is None else ("lengths", lengths)
        raise TypeError(f"{name}: expected None beside a PackedSequence, got {shown(value)}")


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
