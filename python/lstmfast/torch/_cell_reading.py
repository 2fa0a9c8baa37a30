"""What a module of single steps is, read off its attributes as PyTorch's own forward reads them."""

from __future__ import annotations

from typing import Any, TypeGuard

import torch
from torch.nn.modules.rnn import RNNCellBase

from ._weights import CELLS, Spec

_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def is_cell(module: object) -> TypeGuard[Any]:
    """Whether a module runs single steps."""
    return isinstance(module, RNNCellBase)


def cell_of(module: Any) -> str | None:
    """Name what a module computes, as the core does; None of a nonlinearity that is none."""
    if isinstance(module, torch.nn.LSTMCell):
        return CELLS["LSTM"]
    if isinstance(module, torch.nn.GRUCell):
        return CELLS["GRU"]
    return _BY_NONLINEARITY.get(module.nonlinearity)


_BY_NONLINEARITY = {"tanh": CELLS["RNN_TANH"], "relu": CELLS["RNN_RELU"]}


def refusal_of_cell(module: Any, spec: Spec) -> str | None:
    """Say why a module is not what it was, if it is not: an RNNCell's nonlinearity is read at each call."""
    if spec.has_memory or cell_of(module) == spec.cell:
        return None
    return f"its nonlinearity is {module.nonlinearity!r}"


def spec_of(module: Any) -> Spec:
    """Read what a module is, but for its weights, off its attributes."""
    cell = cell_of(module) or CELLS["RNN_TANH"]  # which `refusal_of_cell` refuses
    return Spec(cell, module.input_size, module.hidden_size, 1, False, len(weights_of(module)) > 2, 0)


def names_of(module: Any) -> list[str]:
    """Return the names of a module's weights, in their order."""
    return list(_NAMES[: len(weights_of(module))])


def weights_of(module: Any) -> list[Any]:
    """Return the weights that PyTorch's own forward would compute with now; no biases where both are None."""
    parameters = module._parameters
    try:
        weights = [parameters[name] for name in _NAMES]
    except KeyError:  # they are computed, or no parameters
        weights = [getattr(module, name, None) for name in _NAMES]
    return weights if weights[2] is not None or weights[3] is not None else weights[:2]
