"""Gradient clipping by global norm: one exploding step must not throw the weights away."""

from __future__ import annotations

import math
from collections.abc import Mapping

from numpy.typing import ArrayLike

from .. import _core
from .._base import checks
from .._base.checks import Array
from . import _arguments


def clip_global_norm(
    *gradients: Mapping[str, ArrayLike], max_norm: float
) -> tuple[tuple[dict[str, Array], ...], float]:
    """Scale all gradients by one number so that their joint norm is at most `max_norm`.

    Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
    algorithm 1: with n the root of the sum of all squares, g becomes g * max_norm / n where n > max_norm.
    (PyTorch's clip_grad_norm_ divides by n + 1e-6 instead.)

    Parameters
    ----------
    *gradients
        One mapping from names to arrays per model, such as ``grads.parameters``. They are not changed.
    max_norm
        Above 0; infinity only measures.

    Returns
    -------
    clipped : tuple of dicts, one per mapping
        In the gradients' own dtypes. Where nothing had to be scaled, the very arrays that came in.
    norm : float
        The joint norm before clipping. Computed in float64 and without overflow on the way.

    Raises
    ------
    ValueError
        If max_norm is not above 0, or a gradient holds NaN or infinity. No scale makes such gradients
        good, and to pass them on would turn every weight into NaN. Who wants to skip such a step catches
        this.
    TypeError
        If an argument is of the wrong kind.
    """
    limit = _arguments.number(max_norm, "max_norm")
    if limit <= 0:
        raise ValueError(f"max_norm: expected a number above 0, got {limit}")
    if not gradients:
        raise TypeError("gradients: expected at least one mapping from names to arrays, got none")
    given: list[dict[str, Array]] = []
    for k, values in enumerate(gradients):
        argument = f"gradients[{k}]"
        arrays = {
            name: _arguments.floating(value, f"{argument}[{name!r}]")
            for name, value in _arguments.mapping(values, argument).items()
        }
        given.append(arrays)

    dense = [[checks.dense(array, array.dtype) for array in arrays.values()] for arrays in given]
    # Squares of very large or very small numbers are not representable: measure in units of the largest.
    largest = max((_core.largest(array) for arrays in dense for array in arrays), default=0.0)
    if largest == math.inf:
        for k, arrays in enumerate(given):
            _arguments.check_finite(arrays, f"gradients[{k}]")
    if largest == 0.0:
        return tuple(given), 0.0
    root = math.sqrt(sum(_core.sum_of_squares(array, largest) for arrays in dense for array in arrays))
    norm = largest * root
    if norm <= limit:
        return tuple(given), norm
    scale = limit / largest / root
    return tuple({name: array * scale for name, array in arrays.items()} for arrays in given), norm
