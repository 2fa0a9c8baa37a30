"""What a state is: h alone, or h and c."""

from __future__ import annotations

from typing import TypeAlias

from numpy.typing import ArrayLike

from . import checks
from .checks import Array
from .layer import Layer

Pair: TypeAlias = tuple[Array, Array]
PairLike: TypeAlias = "tuple[ArrayLike | None, ArrayLike | None]"


class PairState(Layer):
    """States are pairs (h, c)."""

    def _halves(self, state: object, name: str, parts: tuple[str, str]) -> tuple[object, object]:
        return checks.pair(state, name, parts)

    def _join(self, h: Array, c: Array, batched: bool) -> Pair:
        return (h, c) if batched else (h[:, 0], c[:, 0])


class LoneState(Layer):
    """States are h."""

    def _halves(self, state: object, name: str, parts: tuple[str, str]) -> tuple[object, object]:
        if isinstance(state, tuple):  # an LSTM's, say
            raise TypeError(f"{name}: expected one array {parts[0]}, got {checks.shown(state)}")
        return state, None

    def _join(self, h: Array, c: Array, batched: bool) -> Array:
        return h if batched else h[:, 0]
