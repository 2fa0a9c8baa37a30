"""Models that come and go: a few at a time, each of a kind, a size and options of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

import lstmfast

KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("LSTM", {}),
    ("LSTM", {"num_layers": 2}),
    ("LSTM", {"proj_size": 4}),
    ("LSTM", {"peephole": True}),
    ("LSTM", {"coupled": True}),
    ("GRU", {}),
    ("GRU", {"reset_after": False}),
    ("RNN", {"nonlinearity": "relu"}),
    ("LayerNormLSTM", {}),
)
LIVING = 12


class Models:
    """Hands out models; each lives for some visits, until its place is another's."""

    def __init__(self, chance: np.random.Generator, largest: int, **more: Any) -> None:
        self._chance, self._largest, self._more = chance, largest, more
        self._living = [self._made() for _ in range(LIVING)]

    def one(self) -> Any:
        """Any of those that live, or a new one in the place of an old one."""
        place = int(self._chance.integers(LIVING))
        if self._chance.random() < 0.1:
            self._living[place] = self._made()
        return self._living[place]

    def _made(self) -> Any:
        chance = self._chance
        name, options = KINDS[chance.integers(len(KINDS))]
        sizes = (int(chance.integers(1, self._largest)), int(chance.integers(5, self._largest)))
        dtype = ("float32", "float64")[chance.integers(2)]
        more = {option: values[chance.integers(len(values))] for option, values in self._more.items()}
        return getattr(lstmfast, name)(*sizes, dtype=dtype, seed=int(chance.integers(99)), **options, **more)
