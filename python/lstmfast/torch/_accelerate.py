"""Whole models: PyTorch's LSTMs, GRUs, RNNs and cells become ours where they stand, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from . import _classes, _freezing
from ._ours import Ours
from ._own import is_frozen, is_quantized, set_quantized
from ._own import unfreeze as end_promise
from ._quantized import kind_of

M = TypeVar("M", bound=torch.nn.Module)


@dataclass(frozen=True)
class Entry:
    """A recurrent module of a model.

    Attributes
    ----------
    name
        Where it is, as in `model.named_modules()`; empty for the model itself.
    module
        The module.
    accelerated
        Whether lstmfast does its work (where it can: see `explain`).
    reason
        Why, or why not.
    """

    name: str
    module: torch.nn.Module
    accelerated: bool
    reason: str

    def __str__(self) -> str:
        return f"{self.name or '(the model itself)'}: {self.module!r}: {self.reason}"


def accelerate(model: M) -> M:
    """Let lstmfast do the work of every `torch.nn.LSTM`, `GRU` and `RNN`, and of their cells, in place.

    Modules stay the objects that they are, with their parameters, hooks and names: only their class changes,
    to `lstmfast.torch.LSTM`, `GRUCell` and so on. So optimisers, `state_dict`, shared weights, and references
    from elsewhere go on working. What is not changed, and why, is in `report(model)`.

    Parameters
    ----------
    model
        Any module; it may itself be an LSTM, a GRU or an RNN.

    Returns
    -------
    model
        The same object.

    Raises
    ------
    TypeError
        If it is no `torch.nn.Module`.
    """
    check_module(model, "accelerate")
    for module in model.modules():
        if _classes.can_take(module) and _reason_against_taking(module) is None:
            _classes.take(module)
    return model


def restore(model: M) -> M:
    """Undo `accelerate` and `quantize`: modules that they changed are again what they were before.

    Parameters, returns and raises as `accelerate`. Frozen modules are unfrozen first.
    """
    check_module(model, "restore")
    for module in model.modules():
        if isinstance(module, Ours):
            if is_quantized(module):
                set_quantized(module, None)
            if _classes.is_taken(module):
                _classes.give_back(module)
    return model


def freeze(model: M) -> M:
    """Call `freeze()` of each of our modules in a model; see `LSTM.freeze`. If one cannot be, none is.

    Raises
    ------
    TypeError
        If it is no `torch.nn.Module`.
    RuntimeError
        If the core cannot run the weights of one: the message says which and why.
    """
    check_module(model, "freeze")
    done: list[Any] = []
    for name, module in model.named_modules():
        if isinstance(module, Ours) and not is_frozen(module):
            try:
                _freezing.freeze(module)
            except RuntimeError as error:
                for before in done:
                    end_promise(before)
                raise RuntimeError(f"{name or 'the model itself'}: {error}") from None
            done.append(module)
    return model


def unfreeze(model: M) -> M:
    """Call `unfreeze()` of each of our modules in a model. Raises TypeError if it is no `torch.nn.Module`."""
    check_module(model, "unfreeze")
    for module in model.modules():
        if isinstance(module, Ours):
            end_promise(module)
    return model


def report(model: torch.nn.Module) -> list[Entry]:
    """List a model's recurrent modules: which of them are lstmfast's, which are not, and why.

    Each name under which a module is found has an entry. Raises TypeError if it is no `torch.nn.Module`.
    """
    check_module(model, "report")
    entries = []
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, Ours):
            how = (
                "accelerated"
                if _classes.is_taken(module)
                else f"made as lstmfast.torch.{type(module).__name__}"
            )
            if is_quantized(module):
                how += f", quantized to {kind_of(module)}"
            own = _classes.own_forward(module)
            if own is None:
                entries.append(Entry(name, module, True, how))
            elif "forward" in module.__dict__:
                entries.append(Entry(name, module, False, f"{own}, which hides that of lstmfast"))
            else:
                entries.append(Entry(name, module, True, f"{how}, as far as {own}: {_FOR_US}"))
        elif reason := reason_against(module):
            entries.append(Entry(name, module, False, reason))
    return entries


# What a class with a forward of its own leaves to ours.
_FOR_US = "what that hands to super().forward() is lstmfast's"


def _reason_against_taking(module: Any) -> str | None:
    """Say why a module that `can_take` takes is left as it is."""
    if "forward" in module.__dict__:
        return "it has a forward of its own, in place of its class's"
    try:
        _classes.over(_classes.unparametrized(type(module)))
    except Exception as error:  # whatever making a class of it does
        return f"its class cannot have ours among its bases: {error}"
    return None


def _kind(*kinds: type) -> Callable[[Any], bool]:
    return lambda module: isinstance(module, kinds)


_REASONS: list[tuple[Callable[[Any], bool], str]] = [
    (_classes.can_take, "not accelerated yet: call lstmfast.torch.accelerate(model)"),
    (_kind(torch.nn.RNNBase), "its class is another than torch.nn.LSTM, GRU or RNN"),
    (_kind(torch.nn.RNNCellBase), "its class is another than torch.nn.LSTMCell, GRUCell or RNNCell"),
    (
        lambda module: (
            getattr(module, "original_name", None)
            in {
                *("LSTM", "RNN", "GRU"),
                *("LSTMCell", "RNNCell", "GRUCell"),
            }
        ),
        "compiled by TorchScript: accelerate models before that, or leave them",
    ),
    (
        lambda module: (
            ".quantized" in type(module).__module__ and type(module).__name__ in {"LSTM", "GRU", "RNNCell"}
        ),
        "quantized by PyTorch",
    ),
]


def reason_against(module: torch.nn.Module) -> str | None:
    """Say why a recurrent module of PyTorch's is not ours; None of any other module."""
    if _classes.can_take(module) and (reason := _reason_against_taking(module)):
        return reason
    return next((reason for applies, reason in _REASONS if applies(module)), None)


def check_module(model: object, function: str) -> None:
    """Raise a TypeError that names the function if a model is no module."""
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model: {function} expected a torch.nn.Module, got {type(model).__name__}")
