"""A layer's weights as many engines take them: both directions in one array, gates in their own order."""

from __future__ import annotations

import numpy as np

from ..problem import Array, Problem

__all__ = ["gru_biases", "layer_weights"]

# A letter for each gate, in PyTorch's order.
_GATES = {"lstm": "ifgo", "gru": "rzn"}


def layer_weights(problem: Problem, layer: int, *, lstm: str, gru: str) -> tuple[Array, Array, Array, Array]:
    """Stack a layer's D directions: W [D, 4H, I], R [D, 4H, H], b_ih and b_hh [D, 4H].

    For 4H a GRU has 3H, and an RNN H. `lstm` and `gru` are the orders of their gates, "iofg" and "zrn" say;
    in the problem they stand as i, f, g, o and r, z, n.
    """
    case = problem.case
    suffixes = [f"_l{layer}{way}" for way in ("", "_reverse")[: case.directions]]
    orders = {"lstm": lstm, "gru": gru}

    def reordered(array: Array) -> Array:
        if case.cell not in orders:  # an RNN's only sum
            return array
        gates = _GATES[case.cell]
        by_gate = dict(zip(gates, np.split(array, len(gates)), strict=True))
        return np.concatenate([by_gate[gate] for gate in orders[case.cell]])

    def stacked(kind: str) -> Array:
        return np.stack([reordered(problem.weights[kind + suffix]) for suffix in suffixes])

    return stacked("weight_ih"), stacked("weight_hh"), stacked("bias_ih"), stacked("bias_hh")


def gru_biases(b_ih: Array, b_hh: Array) -> Array:
    """Return the four biases [D, 4H] of a GRU whose r multiplies what W_hn has made of h.

    Two gates have the sum of theirs. The candidate, the last of three, has two: b_hn is multiplied by r.
    """
    H = b_ih.shape[1] // 3
    return np.concatenate([(b_ih + b_hh)[:, : 2 * H], b_ih[:, 2 * H :], b_hh[:, 2 * H :]], axis=1)
