"""What the tests of models and of their calls share."""

from __future__ import annotations

from typing import Any


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
