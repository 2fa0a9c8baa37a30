"""Zoneout: numbers of h that stay as they were at a step, while training; and what is expected of that, else.

D. Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden activations", arXiv:1606.01305.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .products import Array

Bools: TypeAlias = NDArray[np.bool_]


class Zoneout(NamedTuple):
    """What one layer and direction has of it."""

    probability: float
    renewed: Bools | None  # [T, B, P], where h takes its new value; None: what is expected

    def at(self, t: int) -> Zoneout:
        """Give that of one step."""
        return self if self.renewed is None else Zoneout(self.probability, self.renewed[t : t + 1])

    def forward(self, t: int, new: Array, old: Array) -> Array:
        """Find h after step t."""
        if self.renewed is None:
            return (self.probability * old + (1 - self.probability) * new).astype(new.dtype)
        return np.where(self.renewed[t], new, old)

    def backward(self, t: int, dh: Array) -> tuple[Array, Array]:
        """Cut a gradient of h after step t into what is the step's and what goes past it."""
        if self.renewed is None:
            return (1 - self.probability) * dh, self.probability * dh
        return np.where(self.renewed[t], dh, 0), np.where(self.renewed[t], 0, dh)


NONE = Zoneout(0.0, None)
