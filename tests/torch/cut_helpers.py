"""Calls whose rows are cut by `lengths` and `reset`.

Import this after `pytest.importorskip("torch")`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from .helpers import P, T, as_leaves, input_of, pair, state_of, tensors, upstream

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("lstm", {}),
    "lstm, both ways, projected": ("lstm", {"bidirectional": True, "proj_size": P, "batch_first": True}),
    "lstm, deep, no bias": ("lstm", {"num_layers": 3, "bias": False, "batch_first": True}),
    "gru": ("gru", {"num_layers": 2, "bidirectional": True}),
    "gru, no bias": ("gru", {"bias": False, "batch_first": True}),
    "rnn": ("rnn_tanh", {"num_layers": 2, "bidirectional": True}),
    "rnn, relu": ("rnn_relu", {"batch_first": True}),
}
CONFIG = pytest.mark.parametrize("config", CONFIGS)
LENGTHS = [4, 0, 6, 1, 5]  # one full, one empty
ROWS = len(LENGTHS)


def marks(batch_first: bool = False) -> Any:
    """Some resets: one at a row's first step, a row of nothing but resets, one past a row's length."""
    found = torch.rand(T, ROWS, generator=torch.Generator().manual_seed(2)) < 0.3
    found[0, 2], found[:, 4], found[5, 0] = True, True, True
    return found.T.contiguous() if batch_first else found


CUTS: dict[str, Callable[[bool], dict[str, Any]]] = {
    "lengths": lambda batch_first: {"lengths": torch.tensor(LENGTHS)},
    "reset": lambda batch_first: {"reset": marks(batch_first)},
    "both": lambda batch_first: {"lengths": LENGTHS, "reset": marks(batch_first).float()},
}
CUT = pytest.mark.parametrize("cut", CUTS)


def configured(config: str, dtype: str = "float64", **more: Any) -> tuple[Any, Any]:
    """PyTorch's module, and ours."""
    kind, options = CONFIGS[config]
    return pair(kind, dtype, **options, **more)


def cut_input(module: Any, cuts: dict[str, Any]) -> Any:
    """An input whose rows have NaN past their ends."""
    x = input_of(module, ROWS)
    if "lengths" in cuts:
        for row, length in enumerate(LENGTHS):
            (x[row, length:] if module.batch_first else x[length:, row]).fill_(torch.nan)
    return x


def begins_of(module: Any, shared: bool, rows: int | None = ROWS) -> Any:
    """A state for each row, or one for all."""
    return state_of(module, None if shared else rows, seed=20)


def everything(module: Any, x: Any, hx: Any, begins: Any, cuts: dict[str, Any]) -> dict[str, Any]:
    """All results and gradients of a call, that of reset_to as well."""
    x, hx, begins = as_leaves(x), as_leaves(hx), as_leaves(begins)
    y, end = module(x, hx, **cuts, reset_to=begins)
    outputs, parameters = [y, *tensors(end)], dict(module.named_parameters())
    wanted = [x, *tensors(hx), *tensors(begins), *parameters.values()]
    grads = torch.autograd.grad(outputs, wanted, upstream(outputs))
    halves = range(len(tensors(end)))
    names = ["dx", *(f"dstate {n}" for n in halves), *(f"dreset_to {n}" for n in halves)]
    names += [f"d {name}" for name in parameters]
    found = {"y": y, **{f"state {n}": half for n, half in enumerate(tensors(end))}}
    found |= dict(zip(names, grads, strict=True))
    return {name: tensor.detach().numpy() for name, tensor in found.items()}
