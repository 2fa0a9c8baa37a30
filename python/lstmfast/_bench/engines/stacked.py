"""A layer's weights as many engines take them: both directions in one array, gates in their own order."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..problem import Array

__all__ = ["layer_weights"]


def layer_weights(
    weights: Mapping[str, Array], layer: int, D: int, gates: str
) -> tuple[Array, Array, Array, Array]:
    """Stack a layer's D directions: W [D, 4H, I], R [D, 4H, H], b_ih and b_hh [D, 4H]; an RNN has H for 4H.

    `gates` is the order of an LSTM's, "iofg" say; in `weights` they stand as i, f, g, o.
    """
    suffixes = [f"_l{layer}{way}" for way in ("", "_reverse")[:D]]
    H = weights[f"weight_hh_l{layer}"].shape[1]

    def reordered(array: Array) -> Array:
        if len(array) == H:  # an RNN's only sum
            return array
        by_gate = dict(zip("ifgo", np.split(array, 4), strict=True))
        return np.concatenate([by_gate[gate] for gate in gates])

    def stacked(kind: str) -> Array:
        return np.stack([reordered(weights[kind + suffix]) for suffix in suffixes])

    return stacked("weight_ih"), stacked("weight_hh"), stacked("bias_ih"), stacked("bias_hh")
