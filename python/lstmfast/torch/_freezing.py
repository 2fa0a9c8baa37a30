"""The promise that weights stay as they are: calls then look at addresses and version counters alone."""

from __future__ import annotations

from typing import Any

import torch

from . import _cell_reading, _paths
from ._own import Frozen, Own, is_quantized, marks_of, own_of
from ._reading import names_of, weights_of


def freeze(module: Any) -> None:
    """Keep the network of a module's weights as they are now. Raises as `LSTM.freeze` says."""
    if is_quantized(module):  # whose weights must stay as they are anyway
        return
    own, weights = own_of(module), lasting_weights_of(module, "freeze")
    network = own.packed.network(weights, torch.get_num_threads())
    own.frozen = Frozen(network, marks_of(weights), [weight.detach() for weight in weights])


def lasting_weights_of(module: Any, function: str) -> list[Any]:
    """Return a module's weights, if the core runs them and they may stay: else RuntimeError."""
    weights, packed, reason = weights_of(module), own_of(module).packed, None
    if _cell_reading.is_cell(module):
        reason = _cell_reading.refusal_of_cell(module, packed.spec)
    if reason := reason or _paths.refusal_of_weights(weights, packed.shapes):
        raise RuntimeError(f"{function}: the core cannot run this module: {reason}")
    computed = [name for name in names_of(module) if name not in module._parameters]
    if computed:
        raise RuntimeError(
            f"{function}: expected weights that stay, got {computed[0]}, computed at each call"
        )
    return weights


def check(own: Own, weights: list[Any]) -> None:
    """Raise a RuntimeError if weights that were promised to stay show that they have changed."""
    if own.frozen is not None and marks_of(weights) != own.frozen.marks:
        own.frozen.changed(weights)
