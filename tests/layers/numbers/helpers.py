"""What tests of training share: runs with every option of `forward`, and the reference's numbers for them.

Lengths and reset are given time-major, reset as [T, B]; `run` brings reset into the model's layout.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core_helpers import Model, from_reference
from ...helpers import KINDS, Array, make, parts, random, random_state, random_x

CELLS = (*KINDS, "lstm projected")
TIMES = ("plain", "lengths", "reset", "lengths and reset")


def make_cell(cell: str, input_size: int, hidden_size: int, **options: Any) -> Model:
    """A model of one of `CELLS`; the projection halves h."""
    if cell == "lstm projected":
        cell, options = "lstm", {"proj_size": (hidden_size + 1) // 2, **options}
    model: Model = make(cell, input_size, hidden_size, **options)
    return model


def width_of(model: Model) -> int:
    """S, the width of h."""
    return (model.proj_size or model.hidden_size) if model._KIND.projects else model.hidden_size


def features_of(model: Model) -> int:
    """D*S, the width of y."""
    return width_of(model) * (2 if model.bidirectional else 1)


def times_of(times: str, T: int, B: int, seed: int = 7) -> dict[str, Array]:
    """Lengths and reset of one of `TIMES`. Lengths begin with 2/3 T, 0 and T; a tenth of steps is marked."""
    generator = np.random.default_rng(seed)
    lengths = np.append([2 * T // 3, 0, T], generator.integers(0, T + 1, B))[:B]
    given = {"lengths": lengths, "reset": generator.random((T, B)) < 0.1}
    return {name: array for name, array in given.items() if name in times}


def arguments(model: Model, T: int, B: int, seed: int = 1) -> dict[str, Any]:
    """x, state, dy and dstate for `run` and `truth`."""
    steps = (B, T) if model.batch_first else (T, B)
    return {
        "x": random_x(model, T, B, seed),
        "state": random_state(model, B, seed + 1),
        "dy": random((*steps, features_of(model)), model.dtype, seed + 2),
        "dstate": random_state(model, B, seed + 3),
    }


def named(y: Array, state: Any, dx: Array, dstate: Any, parameters: dict[str, Array]) -> dict[str, Array]:
    """Results by the names that `core_helpers.assert_close` knows."""
    results = {"y": y} | {f"state {n}": part for n, part in enumerate(parts(state))}
    results |= {"dx": dx} | {f"dstate {n}": part for n, part in enumerate(parts(dstate))}
    return results | {f"d {name}": array for name, array in parameters.items()}


def in_layout(model: Model, reset: Array | None) -> Array | None:
    """Reset [T, B] as the model takes it."""
    return reset.T if reset is not None and model.batch_first else reset


def run(
    model: Model, x: Array, state: Any, dy: Array, dstate: Any, *, reset: Array | None = None, **options: Any
) -> dict[str, Array]:
    """Everything that forward and backward give."""
    y, end, tape = model.forward(x, state, reset=in_layout(model, reset), **options)
    grads = model.backward(tape, dy, dstate)
    return named(y, end, grads.x, grads.state, grads.parameters)


def truth(
    model: Model, x: Array, state: Any, dy: Array, dstate: Any, *, reset: Array | None = None, **options: Any
) -> dict[str, Array]:
    """What `run` gives, by the reference in float64; options are lengths and masks."""
    return from_reference(model, x, state, dy, dstate, reset=in_layout(model, reset), **options)
