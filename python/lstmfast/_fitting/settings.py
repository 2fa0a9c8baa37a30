"""How a training goes: what can be chosen, and what is usual."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._base import checks


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `fit` is told.

    Attributes
    ----------
    epochs : int >= 1
        Passes over the data, at most.
    batch_size : int >= 1
        Rows of a step of Adam.
    learning_rate : float > 0
        Adam's.
    max_norm : float > 0
        Gradients are scaled down where their joint norm is above this; infinity: never.
    patience : int >= 1, or None
        Training ends after so many epochs without a held-out loss that is better by `min_delta` than the
        best. None: it goes through all epochs. Without held-out data it has no meaning.
    min_delta : float >= 0
        In units of the loss.
    seed : int >= 0, or None
        Of the order of rows and of dropout. None: another one every time.
    """

    epochs: int = 100
    batch_size: int = 32
    learning_rate: float = 3e-3
    max_norm: float = 1.0
    patience: int | None = 10
    min_delta: float = 0.0
    seed: int | None = 0

    def __post_init__(self) -> None:
        """Check all of them: TypeError or ValueError that names the first that cannot be."""
        checks.integer(self.epochs, "epochs", 1)
        checks.integer(self.batch_size, "batch_size", 1)
        for name in ("learning_rate", "max_norm", "min_delta"):
            _size(getattr(self, name), name, zero=name == "min_delta", infinite=name == "max_norm")
        if self.patience is not None:
            checks.integer(self.patience, "patience", 1)
        if self.seed is not None:
            checks.integer(self.seed, "seed", 0, 2**128 - 1)


def _size(value: object, name: str, *, zero: bool, infinite: bool) -> None:
    expected = f"a number {'>= 0' if zero else '> 0'}"
    number = checks.real(value, name, expected)
    if not (0 < number < math.inf or (zero and number == 0) or (infinite and number == math.inf)):
        raise ValueError(f"{name}: expected {expected}, got {checks.shown(value)}")
