"""The best weights so far."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..training import Model


class Best:
    """Holds the weights of the epoch with the least held-out loss; without such losses, of the last one."""

    def __init__(self, models: Sequence[Model], min_delta: float) -> None:
        self._models = models
        self._min_delta = min_delta
        self._least = self._bar = math.inf
        self.improved = 0  # the last epoch that was better by min_delta than those before
        self._keep()

    def take(self, epoch: int, loss: float | None) -> bool:
        """Look at an epoch's held-out loss, and keep its weights if it is the least (or if there is none)."""
        if loss is not None:
            if loss >= self._least:
                return False
            self._least = loss
            if loss < self._bar - self._min_delta:
                self._bar, self.improved = loss, epoch
        self._keep()
        return True

    def restore(self) -> None:
        """Give the models their best weights back."""
        for model, weights in zip(self._models, self._weights, strict=True):
            model.update(weights)

    def _keep(self) -> None:
        # Parameters are replaced, never written to: to keep them is to hold them.
        self._weights = [dict(model.parameters) for model in self._models]
