"""Noise inside the recurrence while training: zoneout, and dropout of the weights that read h."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._base.checks import Array

if TYPE_CHECKING:
    from .model import Model


class Dropped(NamedTuple):
    """A model's network with dropped weights, of one forward pass."""

    network: Any
    factors: Mapping[str, Array]  # by weight: what it was multiplied by, 0 or 1 / (1 - p)

    @property
    def nbytes(self) -> int:
        """Bytes of the factors."""
        return sum(factor.nbytes for factor in self.factors.values())


def renewed(
    p: float, shape: tuple[int, int, int, int], generator: np.random.Generator
) -> NDArray[np.bool_] | None:
    """Draw which numbers of h take their new values, [L*D, T, B, S]; None where all do."""
    if p == 0:
        return None
    if math.prod(size or 1 for size in shape) > sys.maxsize:
        raise MemoryError(f"no memory for zoneout masks of shape {shape}")
    masks = np.empty(shape, np.bool_)
    for one in masks:  # as dropout's masks are drawn
        np.greater_equal(generator.random(one.shape, dtype=np.float32), [p], out=one)
    return masks


def dropped(model: Model, p: float, generator: np.random.Generator) -> Dropped | None:
    """Pack a model's weights with some of `weight_hh` dropped; None where none are."""
    if p == 0:
        return None
    factors: dict[str, Array] = {}
    weights = dict(model._parameters)
    for name, weight in weights.items():
        if name.startswith("weight_hh"):
            kept = generator.random(weight.shape, dtype=np.float32) >= np.float64(p)
            factor = kept.astype(weight.dtype) * weight.dtype.type(1 / (1 - p) if p < 1 else 0.0)
            factors[name] = factor
            weights[name] = weight * factor
    return Dropped(model._network_of(weights), factors)
