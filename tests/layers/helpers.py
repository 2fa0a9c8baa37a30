"""What the tests of models and of their calls share."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..helpers import Array, parts, random_state


def layouts() -> list[dict[str, Any]]:
    """Every combination of layers, directions and bias."""
    return [
        {"num_layers": num_layers, "bidirectional": bidirectional, "bias": bias}
        for num_layers in (1, 2)
        for bidirectional in (False, True)
        for bias in (True, False)
    ]


class Recorder:
    """A network that keeps what it is called with."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.seen: tuple[Any, ...] = ()

    def infer(self, *arguments: Any) -> Any:
        self.seen = arguments[7:9]
        return self.network.infer(*arguments)

    def forward(self, *arguments: Any) -> Any:
        self.seen = arguments[4:]
        return self.network.forward(*arguments)

    def backward(self, *arguments: Any) -> Any:
        return self.network.backward(*arguments)


def recorded(model: Any) -> Recorder:
    """Put a recorder before the model's network."""
    model._network = recorder = Recorder(model._network)
    return recorder


def state_for_all(model: Any, seed: int = 5) -> Any:
    """One state for all rows: [L*D, S], and [L*D, H] of an LSTM."""
    halves = tuple(half[:, 0] for half in parts(random_state(model, 1, seed)))
    return halves if model._KIND.has_memory else halves[0]


def with_rows(state: Any, rows: int) -> Any:
    """The same as a state of each row."""
    halves = tuple(np.repeat(half[:, np.newaxis], rows, axis=1) for half in parts(state))
    return halves if len(halves) > 1 else halves[0]


def results(model: Any, call: Any, dc: Any = None, **options: Any) -> dict[str, Array]:
    """Everything that forward and backward give."""
    x, state, dy, dstate = call
    y, end, tape, *memory = model.forward(x, state, **options)
    more = {} if dc is None else {"dc": dc}
    grads = model.backward(tape, dy, dstate, **more)
    found = {"y": y, "dx": grads.x, **{f"d {name}": array for name, array in grads.parameters.items()}}
    if memory:
        found["c"] = memory[0]
    named = {"end": end, "dstate": grads.state}
    if grads.reset_to is not None:
        named["dreset_to"] = grads.reset_to
    return found | {
        f"{name} {n}": half for name, state in named.items() for n, half in enumerate(parts(state))
    }
