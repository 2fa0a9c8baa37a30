"""A recurrent layer with a dense head on it: forward, backward, and what is read of the layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from .._base import checks
from .._base.checks import Array
from .._layers.recurrent import Recurrent
from .._layers.tape import Tape
from ..training import Dense
from .batches import Batch

State: TypeAlias = "Array | tuple[Array, Array]"


@dataclass(frozen=True, eq=False)
class Pass:
    """A forward pass, as the backward pass needs it."""

    tape: Tape
    y: Array
    read: Array  # what the head read of y or of the state
    weight: Array  # the head's
    z: Array  # logits


class Model:
    """The two together.

    The head reads the output of every step but the first `skipped`, or else the state h of the last layer
    after each row's last step, both directions side by side: what a row is like as a whole.
    """

    def __init__(
        self, layer: Recurrent[Any, Any], head: Dense, *, each_step: bool = False, skipped: int = 0
    ) -> None:
        if not isinstance(layer, Recurrent):
            raise TypeError(f"layer: expected an LSTM, GRU, RNN or LayerNormLSTM, got {checks.shown(layer)}")
        if not isinstance(head, Dense):
            raise TypeError(f"head: expected a training.Dense, got {checks.shown(head)}")
        if layer.batch_first:
            raise ValueError("layer: expected batch_first=False, as batches are [T, B, I], got True")
        features = layer._layout.features
        if head.in_features != features:
            raise ValueError(
                f"head: expected in_features {features}, the layer's outputs, got {head.in_features}"
            )
        if head.dtype != layer.dtype:
            raise ValueError(f"head: expected dtype {layer.dtype}, the layer's, got {head.dtype}")
        self.layer, self.head = layer, head
        self._each_step, self._skipped = each_step, skipped
        self._ways = 2 if layer.bidirectional else 1

    @property
    def parts(self) -> tuple[Recurrent[Any, Any], Dense]:
        """What has parameters."""
        return self.layer, self.head

    def logits(self, batch: Batch) -> Array:
        """Compute the head's logits, without dropout and keeping nothing."""
        y, state = self.layer(batch.x, lengths=batch.lengths)
        return self.head._logits(self._read(y, state))

    def forward(self, batch: Batch, generator: np.random.Generator) -> Pass:
        """Compute them, and keep what `backward` needs. The generator is of dropout."""
        y, state, tape = self.layer.forward(batch.x, lengths=batch.lengths, seed=generator)
        read = self._read(y, state)
        return Pass(tape, y, read, self.head.parameters["weight"], self.head._logits(read))

    def backward(self, passed: Pass, dz: Array) -> tuple[dict[str, Array], dict[str, Array]]:
        """Find the gradients of the layer's parameters and of the head's."""
        head = self.head._gradients(passed.read, passed.weight, dz)
        dy = dstate = None
        if not self._each_step:
            dstate = self._dstate(head.x)
        elif self._skipped:
            dy = np.zeros_like(passed.y)
            dy[self._skipped :] = head.x
        else:
            dy = head.x
        layer = self.layer.backward(passed.tape, dy, dstate, wants_x=False)
        return layer.parameters, head.parameters

    def _read(self, y: Array, state: State) -> Array:
        if self._each_step:
            return y[self._skipped :]
        h = state[0] if isinstance(state, tuple) else state
        last: Array = h[-self._ways :]  # [D, B, S]
        return last.swapaxes(0, 1).reshape(last.shape[1], -1)

    def _dstate(self, dread: Array) -> Array | tuple[Array, None]:
        """Turn the gradient of what was read, [B, D*S], into that of the state."""
        dh = np.zeros((self.layer._depth, len(dread), dread.shape[1] // self._ways), dread.dtype)
        dh[-self._ways :] = dread.reshape(len(dread), self._ways, -1).swapaxes(0, 1)
        return (dh, None) if self.layer._KIND.has_memory else dh
