"""Derivatives without calculus, to compare gradients with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def central_differences(loss: Callable[[], float], at: Array, step: float = 1e-4) -> Array:
    """The gradient of loss() with respect to `at`, which is changed in place and put back.

    The five-point formula: truncation is about step^4 = 1e-16, rounding about 1e-16 * |loss| / step = 1e-11.
    """
    gradient = np.empty_like(at)
    for index in np.ndindex(at.shape):
        before = at[index]
        losses = []
        for k in (-2, -1, 1, 2):
            at[index] = before + k * step
            losses.append(loss())
        at[index] = before
        gradient[index] = (losses[0] - 8 * losses[1] + 8 * losses[2] - losses[3]) / (12 * step)
    return gradient
