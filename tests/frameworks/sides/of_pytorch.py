"""PyTorch: its modules and cells."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..outcomes import B, H, I, Outcome, T, inputs, output_gradient, random

NEEDS = ("torch",)


def _module(kind: str, options: dict[str, Any], **ours: Any) -> Outcome:
    import torch

    module = getattr(torch.nn, kind)(I, H, **options)
    _fill(module)
    x = inputs()
    y, _ = module(torch.from_numpy(x))
    dy = output_gradient(y.shape[-1])
    y.backward(torch.from_numpy(dy))
    arrays = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    gradients = {name: tensor.grad.numpy() for name, tensor in module.named_parameters()}
    return Outcome(kind, "pytorch", arrays, x, y.detach().numpy(), dy, gradients, options=ours)


def _cell(kind: str) -> Outcome:
    import torch

    module = getattr(torch.nn, f"{kind}Cell")(I, H)
    _fill(module)
    x = inputs()
    state, outputs = None, []
    for t in range(T):
        state = module(torch.from_numpy(x[t]), state)
        outputs.append(state[0] if kind == "LSTM" else state)
    y = torch.stack(outputs)
    arrays = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    assert y.shape == (T, B, H)
    return Outcome(kind, "pytorch-cell", arrays, x, y.detach().numpy())


def _fill(module: Any) -> None:
    import torch

    with torch.no_grad():
        for k, parameter in enumerate(module.parameters()):
            parameter.copy_(torch.from_numpy(random(*parameter.shape, seed=k)))


CASES: dict[str, Callable[[], Outcome]] = {
    "lstm": partial(_module, "LSTM", {}),
    "lstm deep, both ways": partial(_module, "LSTM", {"num_layers": 2, "bidirectional": True}),
    "lstm projected": partial(_module, "LSTM", {"proj_size": 3}),
    "lstm without biases": partial(_module, "LSTM", {"bias": False}),
    "gru": partial(_module, "GRU", {}),
    "rnn": partial(_module, "RNN", {}),
    "rnn relu": partial(_module, "RNN", {"nonlinearity": "relu"}, nonlinearity="relu"),
    "lstm cell": partial(_cell, "LSTM"),
    "gru cell": partial(_cell, "GRU"),
    "rnn cell": partial(_cell, "RNN"),
}
