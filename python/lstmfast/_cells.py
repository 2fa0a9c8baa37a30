"""What LSTM and RNN differ in, whatever their weights: the cell, its configuration, and what a state is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from numpy.typing import ArrayLike

from . import _checks
from ._checks import Array
from ._layer import Layer

if TYPE_CHECKING:
    from collections.abc import Mapping

Pair: TypeAlias = tuple[Array, Array]
PairLike: TypeAlias = "tuple[ArrayLike | None, ArrayLike | None]"


class LstmCell(Layer):
    """States are pairs (h, c)."""

    _GATES = 4
    _HAS_MEMORY = True
    _DEFAULTS: ClassVar[Mapping[str, object]] = {
        "num_layers": 1,
        "bias": True,
        "batch_first": False,
        "dropout": 0.0,
        "bidirectional": False,
        "proj_size": 0,
        "dtype": "float32",
    }

    def _cell(self) -> str:
        return "lstm"

    def _halves(self, state: object, name: str, parts: tuple[str, str]) -> tuple[object, object]:
        return _checks.pair(state, name, parts)

    def _join(self, h: Array, c: Array, batched: bool) -> Pair:
        return (h, c) if batched else (h[:, 0], c[:, 0])


class RnnCell(Layer):
    """States are h."""

    _GATES = 1
    _HAS_MEMORY = False
    _DEFAULTS: ClassVar[Mapping[str, object]] = {
        "num_layers": 1,
        "nonlinearity": "tanh",
        "bias": True,
        "batch_first": False,
        "dropout": 0.0,
        "bidirectional": False,
        "dtype": "float32",
    }

    _nonlinearity: str

    @property
    def nonlinearity(self) -> str:
        """What is applied to each sum, "tanh" or "relu"."""
        return self._nonlinearity

    def _configure(self, config: Mapping[str, Any], isa: object) -> None:
        super()._configure(config, isa)
        self._nonlinearity = _checks.choice(config["nonlinearity"], "nonlinearity", ("tanh", "relu"))

    def _cell(self) -> str:
        return f"rnn_{self._nonlinearity}"

    def _halves(self, state: object, name: str, parts: tuple[str, str]) -> tuple[object, object]:
        if isinstance(state, tuple):  # an LSTM's, say
            raise TypeError(f"{name}: expected one array {parts[0]}, got {_checks.shown(state)}")
        return state, None

    def _join(self, h: Array, c: Array, batched: bool) -> Array:
        return h if batched else h[:, 0]
