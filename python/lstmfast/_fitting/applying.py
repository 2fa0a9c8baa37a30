"""What a trained layer and its head say of sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._base.checks import Array
from .._layers.recurrent import Recurrent
from ..training import Dense
from . import exact
from .batches import rows_at_once
from .model import Model
from .sequences import Sequences


def apply(layer: Recurrent[Any, Any], head: Dense, sequences: Array | Sequence[Array]) -> Array:
    """Compute the head's outputs after the last step of each sequence, [n, K].

    Each has the bits that it would have alone. Nothing is dropped.

    Parameters
    ----------
    layer, head
        As `fit` takes them.
    sequences : array [n, T, I], or n arrays [T_k, I]
        Of at least one step each; finite.
    """
    model = Model(layer, head)
    outputs = np.empty((len(sequences), head.out_features), head.dtype)
    data = Sequences(sequences, np.arange(len(sequences)))  # each one's place is its target
    for batch in data.in_order(rows_at_once(data.longest)):
        outputs[batch.target] = _activated(head, model.logits(batch))
    return outputs


def _activated(head: Dense, z: Array) -> Array:
    """Compute the head's outputs from its logits."""
    return exact.softmax(z)[0].astype(z.dtype) if head.activation == "softmax" else z
