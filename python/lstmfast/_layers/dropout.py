"""Dropout between layers: which outputs of each layer the next one gets to read in a training step."""

from __future__ import annotations

import math
import sys

import numpy as np
from numpy.typing import NDArray

from .._base import checks


def drawn(p: float, shape: tuple[int, int, int, int], seed: object) -> tuple[NDArray[np.bool_] | None, float]:
    """Draw the masks of one forward pass.

    Parameters
    ----------
    p
        Probability that an output is dropped, 0 to 1.
    shape
        [L-1, T, B, D*H], of the outputs of all layers but the last.
    seed
        None, an integer or a generator; checked in any case, used only where something can be dropped.

    Returns
    -------
    masks
        True where an output is kept: `generator.random(shape, dtype=float32) >= p`. None where nothing is to
        be dropped.
    scale
        What outputs that are kept are multiplied by, 1 / (1 - p), so that sums over them have the mean that
        they have without dropout; 0.0 where none is kept.
    """
    generator = None if seed is None else checks.seed_generator(seed)
    if p == 0 or shape[0] == 0:
        return None, 0.0
    if math.prod(size or 1 for size in shape) > sys.maxsize:  # for which NumPy has a ValueError of its own
        raise MemoryError(f"no memory for dropout masks of shape {shape}")
    masks = np.empty(shape, np.bool_)
    if generator is None:
        generator = np.random.default_rng()
    # Layer by layer, to hold the numbers of one layer only; they are the same as if drawn at once. In a list,
    # p is an array and the comparison one in float64; as a number it would be rounded to float32.
    for kept in masks:
        np.greater_equal(generator.random(kept.shape, dtype=np.float32), [p], out=kept)
    return masks, 1 / (1 - p) if p < 1 else 0.0
