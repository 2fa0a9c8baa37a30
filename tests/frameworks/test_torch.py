"""PyTorch's modules and cells: all configurations that both have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .helpers import Call, H, I, Result, Tree, prove, randomised

torch = pytest.importorskip("torch")


def made(kind: str, **options: Any) -> Any:
    return getattr(torch.nn, kind)(I, H, dtype=torch.float64, **options)


def weights(module: Any) -> Tree:
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def run(module: Any, arrays: Tree, call: Call) -> Result:
    module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
    x, *state = map(torch.from_numpy, (call.x, *call.state))
    y, end = module(x, tuple(state) if len(state) > 1 else state[0])
    end = end if isinstance(end, tuple) else (end,)
    parameters = dict(module.named_parameters())
    gradients = torch.autograd.grad(call.loss(y, end, torch.from_numpy), list(parameters.values()))
    return Result(
        y.detach().numpy(),
        tuple(part.detach().numpy() for part in end),
        {name: gradient.numpy() for name, gradient in zip(parameters, gradients, strict=True)},
    )


CONFIGURATIONS: tuple[dict[str, Any], ...] = (
    {},
    {"bias": False},
    {"bidirectional": True},
    {"num_layers": 2},
    {"num_layers": 2, "bidirectional": True},
)


@pytest.mark.parametrize("options", CONFIGURATIONS, ids=str)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_modules(kind: str, options: dict[str, Any]) -> None:
    module = made(kind, **options)
    prove(kind, "pytorch", randomised(weights(module)), lambda *asked: run(module, *asked))


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}], ids=str)
def test_projection(options: dict[str, Any]) -> None:
    module = made("LSTM", proj_size=2, **options)
    prove("LSTM", "pytorch", randomised(weights(module)), lambda *asked: run(module, *asked))


def run_cell(cell: Any, arrays: Tree, call: Call) -> Result:
    """A cell in a loop over time."""
    cell.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
    x, *state = map(torch.from_numpy, (call.x, *call.state))
    now = [part[0] for part in state]
    ys = []
    for step in x:
        after = cell(step, tuple(now) if len(now) > 1 else now[0])
        now = list(after) if isinstance(after, tuple) else [after]
        ys.append(now[0])
    y, end = torch.stack(ys), tuple(part[None] for part in now)
    parameters = dict(cell.named_parameters())
    gradients = torch.autograd.grad(call.loss(y, end, torch.from_numpy), list(parameters.values()))
    return Result(
        y.detach().numpy(),
        tuple(part.detach().numpy() for part in end),
        {name: gradient.numpy() for name, gradient in zip(parameters, gradients, strict=True)},
    )


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_cells(kind: str) -> None:
    cell = made(f"{kind}Cell")
    prove(kind, "pytorch-cell", randomised(weights(cell)), lambda *asked: run_cell(cell, *asked))
