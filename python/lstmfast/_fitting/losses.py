"""Which losses there are, and what each has for a head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from numpy.typing import NDArray

from .._base import checks
from .._base.checks import Array
from ..training import Dense, DenseTape, LogitGradient, cross_entropy, mean_squared_error

# p, the head's tape, target, weight -> the loss, and what Dense.backward takes.
Loss: TypeAlias = Callable[
    [Array, DenseTape, NDArray[Any], NDArray[Any] | None], tuple[float, "Array | LogitGradient"]
]


def _squared(
    p: Array, tape: DenseTape, target: NDArray[Any], weight: NDArray[Any] | None
) -> tuple[float, Array]:
    return mean_squared_error(p, target, weight)


def _entropy(
    p: Array, tape: DenseTape, target: NDArray[Any], weight: NDArray[Any] | None
) -> tuple[float, LogitGradient]:
    return cross_entropy(tape, target, weight)


LOSSES: dict[str, Loss] = {"squared": _squared, "cross_entropy": _entropy}


def chosen(loss: str, head: Dense) -> Loss:
    """Find a loss by its name, and see that the head is one for it."""
    checks.choice(loss, "loss", tuple(LOSSES))
    if loss == "cross_entropy" and head.activation == "identity":
        raise ValueError("head: expected activation 'sigmoid' or 'softmax' for cross entropy, got 'identity'")
    return LOSSES[loss]
