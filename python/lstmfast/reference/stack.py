"""Layers on top of each other, in one direction or both, over whole sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .cells import Cell, LayerCache
from .layer_norm import LayerNormCache
from .lstm import LSTMCache
from .products import Array
from .variants import VariantCache
from .zoneout import Bools, Zoneout

# Per direction: the reverse one reads x from its end.
TIME: tuple[slice, ...] = (slice(None), slice(None, None, -1))


class Stack(NamedTuple):
    """What all ways to run a network need of it.

    All cells have c's here, which nobody reads of those without.
    """

    cell: Cell
    weights: Sequence[Mapping[str, Array]]  # L*D, forward direction before reverse, by their kinds
    ways: slice  # of forward and reverse, those that there are
    hidden_size: int
    output_size: int  # H, or P with a projection
    zoneout: float

    @property
    def num_directions(self) -> int:
        """How many directions each layer has."""
        return len(TIME[self.ways])

    @property
    def num_layers(self) -> int:
        """How many layers there are."""
        return len(self.weights) // self.num_directions


class NetworkCache(NamedTuple):
    """What whole sequences through all layers keep for their backward pass."""

    layers: list[LayerCache]  # L*D, forward direction before reverse
    masks: Array | None  # [L-1, T, B, D*P]

    @property
    def steps_and_rows(self) -> tuple[int, int]:
        """T and B."""
        T, B, _ = self.layers[0].x.shape
        return T, B


def forward(
    stack: Stack, x: Array, h0: Array, c0: Array, masks: Array | None, renewed: Bools | None
) -> tuple[Array, Array, Array, NetworkCache]:
    """Layer after layer, each over all T steps of all rows: y, h_n, c_n and the cache."""
    y, h_n, c_n = x, np.empty_like(h0), np.zeros_like(c0)
    caches: list[LayerCache] = []
    for layer in range(stack.num_layers):
        if masks is not None and layer > 0:
            y = y * masks[layer - 1]
        outputs = []
        for time in TIME[stack.ways]:
            k = len(caches)
            zoneout = Zoneout(stack.zoneout, None if renewed is None else renewed[k][time])
            out, c_n[k], cache = stack.cell.forward(y[time], h0[k], c0[k], stack.weights[k], zoneout)
            h_n[k] = cache.h[-1]
            outputs.append(out[time])
            caches.append(cache)
        y = np.concatenate(outputs, axis=2)
    return y, h_n, c_n, NetworkCache(caches, masks)


def backward(
    stack: Stack, cache: NetworkCache, dy: Array, dh_n: Array, dc_n: Array, dc_y: Array | None
) -> tuple[Array, Array, Array, Sequence[Mapping[str, Array]]]:
    """From the last layer to the first: dx, dh0, dc0 and the weights' gradients."""
    P, H, D = stack.output_size, stack.hidden_size, stack.num_directions
    dh0, dc0 = np.empty_like(dh_n), np.zeros_like(dc_n)
    dweights = list(stack.weights)
    for layer in reversed(range(stack.num_layers)):
        dx = np.zeros_like(cache.layers[layer * D].x)
        for direction, time in enumerate(TIME[stack.ways]):
            k = layer * D + direction
            dy_k = dy[time, :, direction * P : (direction + 1) * P]
            dc_k = None if dc_y is None else dc_y[time, :, direction * H : (direction + 1) * H]
            dx_k, dh0[k], dc0[k], dweights[k] = stack.cell.backward(
                cache.layers[k], dy_k, dh_n[k], dc_n[k], dc_k
            )
            dx += dx_k[time]  # both directions read the same x
        if cache.masks is not None and layer > 0:
            dx = dx * cache.masks[layer - 1]
        dy = dx  # this layer's x is the y of the layer below
        dc_y = None  # c of the last layer alone is an output
    return dy, dh0, dc0, dweights


def memory(stack: Stack, cache: NetworkCache) -> Array:
    """Return the last layer's c after every step, [T, B, D*H]."""
    memories = [
        layer.c[1:][time]
        for layer, time in zip(cache.layers[-stack.num_directions :], TIME[stack.ways], strict=True)
        if isinstance(layer, (LSTMCache, VariantCache, LayerNormCache))
    ]
    return np.concatenate(memories, axis=2)
