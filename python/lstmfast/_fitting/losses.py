"""Which losses there are: each of a head's logits, with its gradient with respect to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._base import checks
from .._base.checks import Array
from ..training import Dense, mean_squared_error
from . import exact

# z, target, weight -> the loss, dz.
Loss: TypeAlias = Callable[[Array, NDArray[Any], "NDArray[Any] | None"], "tuple[float, Array]"]


def cross_entropy(z: Array, classes: NDArray[Any], weight: NDArray[Any] | None) -> tuple[float, Array]:
    """Mean of -log of each class' probability, and dz: `training.cross_entropy`, the same bits everywhere.

    Parameters
    ----------
    z : [..., C]
        Logits of a softmax head.
    classes : integers [...]
        From 0 to C - 1; where the weight is 0, any of these.
    weight : [...], or None
        How much each counts.
    """
    C = z.shape[-1]
    if classes.dtype.kind not in "iu" or not (classes >= 0).all() or not (classes < C).all():
        raise ValueError(f"targets: expected integer classes from 0 to {C - 1}, got {_first(classes, C)}")
    with checks.quiet():
        p, log_p = exact.softmax(z)
    w = np.ones(classes.shape) if weight is None else weight.astype(np.float64)
    total = float(w.sum())
    places = classes[..., np.newaxis]
    taken = np.take_along_axis(log_p, places, axis=-1)[..., 0]
    loss = -float(np.sum(w * taken)) / total
    np.put_along_axis(p, places, np.take_along_axis(p, places, axis=-1) - 1, axis=-1)
    return loss, checks.converted(p * (w / total)[..., np.newaxis], z.dtype)


def _first(classes: NDArray[Any], C: int) -> str:
    """Say what is wrong with classes."""
    if classes.dtype.kind not in "iu":
        return checks.shown(classes)
    return str(classes[(classes < 0) | (classes >= C)][0])


LOSSES: dict[str, Loss] = {"squared": mean_squared_error, "cross_entropy": cross_entropy}
ACTIVATIONS = {"squared": "identity", "cross_entropy": "softmax"}


def chosen(loss: str, head: Dense) -> Loss:
    """Find a loss by its name, and see that the head is one for it."""
    checks.choice(loss, "loss", tuple(LOSSES))
    if head.activation != ACTIVATIONS[loss]:
        raise ValueError(
            f"head: expected activation {ACTIVATIONS[loss]!r} for the loss {loss!r}, got {head.activation!r}"
        )
    return LOSSES[loss]
