"""Which way a call of a module goes, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from .._base import runtime
from . import _calls, _cell_calls, _classes, _cuts, _paths
from ._accelerate import reason_against
from ._cells import RecurrentCell
from ._ours import Ours
from ._own import is_frozen, is_quantized, own_of
from ._quantized import kind_of, refuse


@dataclass(frozen=True)
class Explanation:
    """What `explain` found.

    Attributes
    ----------
    path
        "lstmfast" or "torch"; "its own" where the module, or its class, has a `forward` that stands before
        lstmfast's, and may do anything.
    reason
        Why, and how.
    """

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def explain(
    module: torch.nn.Module,
    x: Any,
    hx: Any = None,
    *,
    lengths: Any = None,
    reset: Any = None,
    reset_to: Any = None,
) -> Explanation:
    """Say which way `module(x, hx)` would go now, to lstmfast's core or along PyTorch's own path, and why.

    The call is not made. Modes count: ask where you would call, under the same `autocast` or `torch.func`.

    Parameters
    ----------
    module
        A recurrent module, ours or PyTorch's.
    x, hx, lengths, reset, reset_to
        The arguments of the call; a cell's has no `lengths`, `reset` and `reset_to`.

    Raises
    ------
    TypeError
        If module is no recurrent module; if `lengths` or `reset` is given for a cell.
    TypeError, ValueError
        If `lengths`, `reset` or `reset_to` is what a call refuses.
    RuntimeError
        If it is frozen or quantized and its weights have changed since, or it is quantized and the call is
        none for the core, as a call would.
    """
    if not isinstance(module, Ours):
        reason = reason_against(module) if isinstance(module, torch.nn.Module) else None
        if reason is None:
            raise TypeError(
                f"module: expected an LSTM, GRU, RNN or a cell of these, got {type(module).__name__}"
            )
        return Explanation("torch", reason)
    if own := _classes.own_forward(module):
        return Explanation("its own", f"{own}: only a call shows what of it comes to lstmfast")
    if isinstance(module, RecurrentCell):
        _refuse_cuts(lengths, reset, reset_to)
        prepared: Any = _cell_calls.refusal(module, x, hx)
        if _paths.dispatch_modes():
            prepared = "a dispatch mode is at work, which sees PyTorch's own step"
    else:
        prepared = _calls.prepare(module, x, hx, lengths, reset, reset_to)
    if isinstance(prepared, str):
        refuse(own_of(module), prepared)
        return Explanation("torch", prepared)
    threads = min(torch.get_num_threads(), runtime.get_num_threads())
    if is_quantized(module):
        weights = f"quantized to {kind_of(module)}: smaller weights, for inference"
    elif is_frozen(module):
        weights = "frozen: weights are taken to be as they were"
    else:
        weights = "weights are compared with those packed (freeze() saves that)"
    how = f"{runtime.isa()}, up to {threads} thread{'s' if threads > 1 else ''}; {weights}"
    if getattr(prepared, "dtype", None) is not None:
        how += (
            f"; autocast to {prepared.dtype}, in which PyTorch has no LSTM for this CPU: computed in"
            " float32, and results rounded"
        )
    return Explanation("lstmfast", how)


def _refuse_cuts(lengths: Any, reset: Any, reset_to: Any) -> None:
    """Raise a TypeError if a call of a cell is to have what cuts rows."""
    for name, value in (("lengths", lengths), ("reset", reset), ("reset_to", reset_to)):
        if value is not None:
            raise TypeError(f"{name}: expected None for a cell of one step, got {_cuts.shown(value)}")
