"""What a module is, read off its attributes as PyTorch's own forward reads them."""

from __future__ import annotations

import operator
import weakref
from typing import Any

import torch

from . import _cell_reading
from ._weights import CELLS, Spec


def spec_of(module: Any) -> Spec:
    """Read what a module is, but for its weights, off its attributes."""
    if _cell_reading.is_cell(module):
        return _cell_reading.spec_of(module)
    return Spec(
        CELLS[module.mode],
        module.input_size,
        module.hidden_size,
        module.num_layers,
        module.bidirectional,
        module.bias,
        module.proj_size,
    )


def names_of(module: Any) -> list[str]:
    """Return the names of a module's weights, in their order."""
    if _cell_reading.is_cell(module):
        return _cell_reading.names_of(module)
    names: list[str] = module._flat_weights_names
    return names


def weights_of(module: Any) -> list[Any]:
    """Return the weights that PyTorch's own forward would compute with now, in the order of their names.

    That is its list `_flat_weights`, into which anybody may put other tensors; but if an attribute of a
    weight's name is not what the list was made from, the list is made anew of all of them. Each attribute is
    asked for once: it may be computed whenever it is (torch.nn.utils.parametrize).
    """
    if _cell_reading.is_cell(module):
        return _cell_reading.weights_of(module)
    attributes = module.__dict__
    listed: list[Any] = attributes["_flat_weights"]
    made_from = attributes["_flat_weight_refs"]
    parameters = module._parameters
    names = module._flat_weights_names
    now = [parameters[name] if name in parameters else getattr(module, name, None) for name in names]
    if all(w is None or ref is None or ref() is w for w, ref in zip(now, made_from, strict=True)):
        return listed
    if not torch.compiler.is_compiling():  # where nothing is to be changed
        attributes["_flat_weights"] = now
        attributes["_flat_weight_refs"] = [None if w is None else weakref.ref(w) for w in now]
    return now


_referent = weakref.ref.__call__


def weights_of_call(module: Any) -> list[Any]:
    """Return what `weights_of` does, sooner where nobody put anything anywhere. Not to be compiled."""
    attributes = module.__dict__
    listed: list[Any] = attributes["_flat_weights"]
    try:  # all in C, and not in a loop: the smallest calls would notice
        if all(map(operator.is_, map(module._parameters.get, module._flat_weights_names), listed)) and all(
            map(operator.is_, map(_referent, attributes["_flat_weight_refs"]), listed)
        ):
            return listed
    except TypeError:  # None, for a weight that there was not
        pass
    return weights_of(module)
