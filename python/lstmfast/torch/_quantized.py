"""Modules whose weights are made smaller: the plain API's quantised layer does their work.

In a module's call it stands where a frozen network does. It goes with copies and pickles, as what it was made
from does, so that these give the same results.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import _run
from ._own import Own, marks_of, own_of
from ._weights import fingerprint_of


class Quantized:
    """A quantised layer in place of a module's weights, and what tells that those are still the same."""

    def __init__(self, layer: Any, weights: list[Tensor]) -> None:
        self.layer = layer
        self._fingerprint = fingerprint_of(weights, torch.get_num_threads())
        self.marks: Any = marks_of(weights)
        self._held = [
            weight.detach() for weight in weights
        ]  # so that no other weight can get such an address

    @property
    def network(self) -> Any:
        """The core's, of the smaller weights."""
        return self.layer._network

    def changed(self, weights: list[Tensor]) -> None:
        """Take marks that have changed for new ones of the same weights, as copies have them; else raise."""
        on_cpu = all(type(weight) in (Tensor, torch.nn.Parameter) and weight.is_cpu for weight in weights)
        if not on_cpu or fingerprint_of(weights, torch.get_num_threads()) != self._fingerprint:
            raise RuntimeError(
                "a weight of this module was changed, replaced or moved after quantize(); call restore(), and"
                " quantize() again"
            )
        self._held = [weight.detach() for weight in weights]
        self.marks = marks_of(weights)

    def run(
        self, module: Any, call: _run.Call, x: Tensor, h0: Any, c0: Any, begins: tuple[Tensor | None, ...]
    ) -> tuple[Tensor, ...]:
        """Run forward. Raises a RuntimeError if that is to train anything."""
        given = (x, h0, c0, *begins)
        if torch.is_grad_enabled() and any(each is not None and each.requires_grad for each in given):
            raise RuntimeError(
                f"this module is quantized to {self.layer.weight_dtype}, for inference, and has no gradients:"
                " expected an input and states that want none; call it under torch.no_grad(), or restore()"
            )
        if module.training and module.dropout and module.num_layers > 1:
            raise RuntimeError(
                f"this module is quantized to {self.layer.weight_dtype}, for inference, and has no dropout:"
                " call eval(), or restore()"
            )
        if x.dtype is torch.float32:
            return _run.infer(self.network, call, x, h0, c0, begins)
        floats = [None if each is None else each.float() for each in given]
        found = _run.infer(self.network, call, x.float(), floats[1], floats[2], floats[3:])
        return tuple([each.to(x.dtype) for each in found])

    def __getstate__(self) -> dict[str, Any]:
        """Without what belongs to the weights of this module: a copy finds its own at its first call."""
        return {"layer": self.layer, "_fingerprint": self._fingerprint, "marks": None, "_held": []}


def kind_of(module: Any) -> str:
    """Say what a quantised module's weights are: "float16", "bfloat16" or "int8"."""
    quantized = quantized_of(own_of(module))
    return "" if quantized is None else str(quantized.layer.weight_dtype)


def quantized_of(own: Own) -> Quantized | None:
    """Find what stands in place of a module's weights, if they are quantised."""
    return own.frozen if isinstance(own.frozen, Quantized) else None


def refuse(own: Own, reason: str) -> None:
    """Raise a RuntimeError if a call that the core does not take is one of smaller weights."""
    quantized = quantized_of(own)
    if quantized is not None:
        raise RuntimeError(
            f"this module is quantized to {quantized.layer.weight_dtype}, which lstmfast alone runs,"
            f" and not this call: {reason}"
        )
