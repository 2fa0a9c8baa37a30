"""Training steps of PyTorch's modules, ours and accelerated ones, each with a shape of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import lstmfast.torch

LONGEST, MOST_ROWS = 40, 12


class InTorch:
    """A visit: a new module, `each` steps of it with an optimizer; calling it is a visit of watch.py's."""

    def __init__(self, seed: int, each: int) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        self.chance = np.random.default_rng(seed)
        self.each = each

    def __call__(self) -> int:
        module = self._made()
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-4)
        for n in range(self.each):
            self._step(module, optimizer, packed=n % 4 == 3)
        return self.each

    def _made(self) -> Any:
        chance = self.chance
        kind = ("LSTM", "GRU", "RNN")[chance.integers(3)]
        sizes = (int(chance.integers(1, 40)), int(chance.integers(5, 40)))
        options: dict[str, Any] = {
            "num_layers": int(chance.integers(1, 3)),
            "bidirectional": bool(chance.integers(2)),
        }
        if chance.integers(2):
            return getattr(lstmfast.torch, kind)(*sizes, **options)
        accelerated: Any = lstmfast.torch.accelerate(getattr(torch.nn, kind)(*sizes, **options))
        return accelerated

    def _step(self, module: Any, optimizer: Any, packed: bool) -> None:
        T, B = int(self.chance.integers(1, LONGEST + 1)), int(self.chance.integers(1, MOST_ROWS + 1))
        x: Any = torch.randn(T, B, module.input_size)
        if packed:
            lengths = torch.from_numpy(self.chance.integers(1, T + 1, B))
            x = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        optimizer.zero_grad()
        y, _ = module(x)
        (y.data if packed else y).square().mean().backward()
        optimizer.step()
