"""The promise that weights stay as they are: calls then look at addresses and version counters alone."""

from __future__ import annotations

from typing import Any

import torch

from . import _paths
from ._own import Frozen, Own, own_of
from ._reading import weights_of


def freeze(module: Any) -> None:
    """Keep the network of a module's weights as they are now. Raises as `LSTM.freeze` says."""
    own, weights = own_of(module), weights_of(module)
    if reason := _paths.refusal_of_weights(weights, own.packed.shapes):
        raise RuntimeError(f"freeze: the core cannot run this module: {reason}")
    computed = [name for name in module._flat_weights_names if name not in module._parameters]
    if computed:
        raise RuntimeError(f"freeze: expected weights that stay, got {computed[0]}, computed at each call")
    network = own.packed.network(weights, torch.get_num_threads())
    own.frozen = Frozen(network, _marks(weights), [weight.detach() for weight in weights])


def check(own: Own, weights: list[Any]) -> None:
    """Raise a RuntimeError if weights that were promised to stay show that they have changed."""
    if own.frozen is not None and _marks(weights) != own.frozen.marks:
        raise RuntimeError(
            "a weight of this module was changed, replaced or moved after freeze(); call unfreeze(),"
            " and freeze() again if it is to stay as it is now"
        )


def _marks(weights: list[Any]) -> tuple[tuple[int, int], ...]:
    try:
        return tuple([(weight.data_ptr(), weight._version) for weight in weights])
    except RuntimeError:
        # Made in inference mode: they have no version, nor can they change where PyTorch counts.
        return tuple((w.data_ptr(), 0 if w.is_inference() else w._version) for w in weights)
