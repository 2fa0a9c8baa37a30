"""Paddle's LSTM, GRU and SimpleRNN, and their cells."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from .helpers import Call, H, I, Result, Tree, prove, randomised

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it looks for when it is imported
    paddle = pytest.importorskip("paddle")

CLASSES = {"LSTM": "LSTM", "GRU": "GRU", "RNN": "SimpleRNN"}


@pytest.fixture(autouse=True)
def _float64() -> Any:
    before = paddle.get_default_dtype()
    paddle.set_default_dtype("float64")
    paddle.set_device("cpu")
    yield
    paddle.set_default_dtype(before)


def parameters(module: Any) -> dict[str, Any]:
    """Each once, for a layer's are there under the names of its cells, too: those that are PyTorch's."""
    return {name: tensor for name, tensor in module.state_dict().items() if ".cell" not in name}


def fill(held: Any, arrays: Tree) -> None:
    for name, array in arrays.items():
        held[name].set_value(np.array(array))


def run(module: Any, arrays: Tree, call: Call) -> Result:
    held = parameters(module)
    fill(module.state_dict(), arrays)
    x, *state = map(paddle.to_tensor, (call.x, *call.state))
    y, end = module(x, tuple(state) if len(state) > 1 else state[0])
    return result(y, end if isinstance(end, (tuple, list)) else (end,), held, call)


def result(y: Any, end: Any, held: dict[str, Any], call: Call) -> Result:
    gradients = paddle.grad(call.loss(y, end, paddle.to_tensor), list(held.values()))
    return Result(
        y.numpy(),
        tuple(part.numpy() for part in end),
        {name: gradient.numpy() for name, gradient in zip(held, gradients, strict=True)},
    )


@pytest.mark.parametrize(
    ("num_layers", "direction"), [(1, "forward"), (1, "bidirect"), (2, "forward"), (2, "bidirect")]
)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_modules(kind: str, num_layers: int, direction: str) -> None:
    module = getattr(paddle.nn, CLASSES[kind])(
        I, H, num_layers=num_layers, direction=direction, time_major=True
    )
    arrays = randomised({name: tensor.numpy() for name, tensor in parameters(module).items()})
    fill(parameters(module), arrays)
    both = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    prove(kind, "paddle", arrays, lambda *asked: run(module, *asked), expected=both)


def run_cell(cell: Any, arrays: Tree, call: Call) -> Result:
    """A cell in a loop over time."""
    held = dict(cell.state_dict())
    fill(held, arrays)
    x, *state = map(paddle.to_tensor, (call.x, *call.state))
    now = [part[0] for part in state]
    ys = []
    for step in x:
        y, after = cell(step, tuple(now) if len(now) > 1 else now[0])
        now = list(after) if isinstance(after, (tuple, list)) else [after]
        ys.append(y)
    return result(paddle.stack(ys), tuple(part.unsqueeze(0) for part in now), held, call)


@pytest.mark.parametrize(
    ("kind", "options"), [("LSTM", {}), ("LSTM", {"proj_size": 2}), ("GRU", {}), ("RNN", {})], ids=str
)
def test_cells(kind: str, options: dict[str, int]) -> None:
    cell = getattr(paddle.nn, f"{CLASSES[kind]}Cell")(I, H, **options)
    arrays = {name: tensor.numpy() for name, tensor in cell.state_dict().items()}
    prove(kind, "paddle-cell", randomised(arrays), lambda *asked: run_cell(cell, *asked))
