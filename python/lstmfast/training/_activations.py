"""The three activations of the output node, each with its derivative.

Logits z and outputs p are [..., features]; the gradient of the loss with respect to v is called dv.
"""

from __future__ import annotations

import numpy as np

from .._base.checks import Array
from ..reference import sigmoid

NAMES = ("identity", "sigmoid", "softmax")


def softmax(z: Array) -> Array:
    """exp(z) / sum of exp(z) over the last axis; the largest z is subtracted first, so nothing overflows."""
    e: Array = np.exp(z - z.max(axis=-1, keepdims=True))
    p: Array = e / e.sum(axis=-1, keepdims=True)
    return p


def apply(activation: str, z: Array) -> Array:
    """Compute p from z."""
    if activation == "sigmoid":
        return sigmoid(z)
    return softmax(z) if activation == "softmax" else z


def through(activation: str, z: Array, dp: Array) -> Array:
    """Compute dz from dp."""
    if activation == "identity":
        return dp
    p = apply(activation, z)
    if activation == "sigmoid":
        return dp * p * (1 - p)
    # dp_j/dz_k = p_j ((j == k) - p_k), and so dz_k = p_k (dp_k - sum_j dp_j p_j).
    dz: Array = p * (dp - (dp * p).sum(axis=-1, keepdims=True))
    return dz
