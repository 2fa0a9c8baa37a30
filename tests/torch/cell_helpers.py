"""PyTorch's modules of single steps and lstmfast.torch's with the same weights, and loops of them.

Import this after `pytest.importorskip("torch")`.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

import lstmfast.torch

from ..helpers import KINDS, Array, has_memory
from .helpers import H, I, leaf, randn, tensors, upstream

CELLS = pytest.mark.parametrize("kind", KINDS)
SHAPES = pytest.mark.parametrize("rows", [None, 1, 3])

T, B = 6, 3


def make(library: Any, kind: str, dtype: str = "float64", **options: Any) -> Any:
    """`library`'s module of single steps of one of `helpers.KINDS`."""
    sizes = options.pop("input_size", I), options.pop("hidden_size", H)
    options["dtype"] = getattr(torch, dtype)
    if kind.startswith("rnn"):
        options["nonlinearity"] = kind.removeprefix("rnn_")
    name = {"lstm": "LSTMCell", "gru": "GRUCell"}.get(kind, "RNNCell")
    return getattr(library, name)(*sizes, **options)


def pair(kind: str, dtype: str = "float64", **options: Any) -> tuple[Any, Any]:
    """PyTorch's module and ours, with the same weights."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    theirs, ours = make(torch.nn, kind, dtype, **options), make(lstmfast.torch, kind, dtype, **options)
    assert not ours.load_state_dict(theirs.state_dict()).missing_keys
    return theirs, ours


def whole(cell: Any, kind: str) -> Any:
    """Our module of sequences with a cell's weights."""
    options = {"nonlinearity": cell.nonlinearity} if kind.startswith("rnn") else {}
    options |= {"bias": cell.bias, "dtype": cell.weight_ih.dtype}
    name = {"lstm": "LSTM", "gru": "GRU"}.get(kind, "RNN")
    module = getattr(lstmfast.torch, name)(cell.input_size, cell.hidden_size, **options)
    module.load_state_dict({f"{name}_l0": weight for name, weight in cell.state_dict().items()})
    return module


def inputs_of(cell: Any, rows: int | None = B, steps: int = T, seed: int = 1) -> torch.Tensor:
    """What a loop reads, [T, B, I] or [T, I]."""
    shape = (steps, cell.input_size) if rows is None else (steps, rows, cell.input_size)
    return randn(shape, cell.weight_ih, seed)


def state_of(cell: Any, kind: str, rows: int | None = B, seed: int = 10) -> Any:
    """What a loop begins with."""
    shape = (cell.hidden_size,) if rows is None else (rows, cell.hidden_size)
    states = [randn(shape, cell.weight_ih, seed + n) for n in range(2 if has_memory(kind) else 1)]
    return tuple(states) if has_memory(kind) else states[0]


def is_taken(cell: Any, x: Any, hx: Any = None) -> bool:
    """Whether the core runs a step."""
    return lstmfast.torch.explain(cell, x, hx).path == "lstmfast"


def loop(cell: Any, x: Any, hx: Any = None) -> tuple[Any, Any]:
    """Step by step: y, and the last state. One of ours must not leave it to PyTorch."""
    outputs = []
    for step in x:
        assert not isinstance(cell, lstmfast.torch._cells.RecurrentCell) or is_taken(cell, step, hx)
        hx = cell(step, hx)
        outputs.append(tensors(hx)[0])
    return torch.stack(outputs), hx


def results(run: Any, module: Any, x: Any, hx: Any) -> dict[str, Array]:
    """Outputs, states and all gradients of y, end = run(module, x, hx), by the names of `assert_close`."""
    x = leaf(x)
    hx = None if hx is None else tuple(map(leaf, hx)) if isinstance(hx, tuple) else leaf(hx)
    module.zero_grad()
    y, end = run(module, x, hx)
    outputs = [y, *tensors(end)]
    torch.autograd.backward(outputs, upstream(outputs))
    found = {"y": y, **{f"state {n}": state for n, state in enumerate(tensors(end))}, "dx": x.grad}
    found |= {f"dstate {n}": state.grad for n, state in enumerate(tensors(hx))}
    found |= {f"d {n.removesuffix('_l0')}": p.grad for n, p in module.named_parameters()}
    return {name: tensor.detach().numpy().copy() for name, tensor in found.items()}
