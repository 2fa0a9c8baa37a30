"""The LSTM with layer normalisation, one layer in one direction. The equations: `lstmfast.LayerNormLSTM`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from .products import Array, sigmoid, weight_gradient
from .zoneout import NONE, Zoneout

EPSILON = 1e-5  # added to a variance


class LayerNormCache(NamedTuple):
    """What one layer's forward pass keeps for its backward pass."""

    x: Array  # [T, B, I]
    h: Array  # [T+1, B, H]: h[0] is the initial state, h[t+1] the state after step t
    c: Array  # [T+1, B, H], likewise
    of_x: Array  # [T, B, 4H], W_ih x
    of_h: Array  # [T, B, 4H], W_hh h
    weights: Mapping[str, Array]
    zoneout: Zoneout


def norm(v: Array) -> tuple[Array, Array]:
    """Normalise the last axis; also one over the standard deviation, [..., 1]."""
    scale = 1 / np.sqrt(v.var(axis=-1, keepdims=True) + v.dtype.type(EPSILON))
    return (v - v.mean(axis=-1, keepdims=True)) * scale, scale


def norm_backward(d: Array, normed: Array, scale: Array) -> Array:
    """Find the gradient of v from that of norm(v): no part along 1 (the mean) or along norm(v) (the size)."""
    along = (d * normed).mean(axis=-1, keepdims=True)
    gradient: Array = scale * (d - d.mean(axis=-1, keepdims=True) - normed * along)
    return gradient


def _gates(of_x: Array, of_h: Array, weights: Mapping[str, Array]) -> tuple[Array, Array, Array, Array]:
    z = weights["gain_ih"] * norm(of_x)[0] + weights["gain_hh"] * norm(of_h)[0]
    if "bias_ih" in weights:
        z = z + weights["bias_ih"] + weights["bias_hh"]
    i, f, g, o = np.split(z, 4, axis=-1)
    return sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)


def layer_norm_forward(
    x: Array, h0: Array, c0: Array, weights: Mapping[str, Array], zoneout: Zoneout = NONE
) -> tuple[Array, LayerNormCache]:
    """As `lstm_layer_forward`, with the weights by their kinds."""
    T, B, _ = x.shape
    H = h0.shape[-1]
    h, c = np.empty((T + 1, B, H), x.dtype), np.empty((T + 1, B, H), x.dtype)
    h[0], c[0] = h0, c0
    of_x = x @ weights["weight_ih"].T
    of_h = np.empty_like(of_x)
    for t in range(T):
        of_h[t] = h[t] @ weights["weight_hh"].T
        i, f, g, o = _gates(of_x[t], of_h[t], weights)
        c[t + 1] = f * c[t] + i * g
        new = o * np.tanh(weights["gain_c"] * norm(c[t + 1])[0] + weights["bias_c"])
        h[t + 1] = zoneout.forward(t, new, h[t])
    return h[1:], LayerNormCache(x, h, c, of_x, of_h, weights, zoneout)


def layer_norm_backward(
    cache: LayerNormCache, dy: Array, dh_n: Array, dc_n: Array, dc_y: Array | None = None
) -> tuple[Array, Array, Array, dict[str, Array]]:
    """dx, dh0, dc0 and the gradients of the weights by their kinds."""
    x, h, c, of_x, of_h, weights, zoneout = cache
    dz, by_x, by_h = np.empty_like(of_x), np.empty_like(of_x), np.empty_like(of_x)
    dn, normed_c = np.empty_like(c[1:]), norm(c[1:])[0]
    dh, dc = dh_n, dc_n
    for t in reversed(range(len(x))):
        dh, past = zoneout.backward(t, dh + dy[t])
        if dc_y is not None:
            dc = dc + dc_y[t]
        i, f, g, o = _gates(of_x[t], of_h[t], weights)
        shown = np.tanh(weights["gain_c"] * normed_c[t] + weights["bias_c"])
        dn[t] = dh * o * (1 - shown * shown)
        dc = dc + norm_backward(dn[t] * weights["gain_c"], *norm(c[t + 1]))
        gates = [
            dc * g * i * (1 - i),
            dc * c[t] * f * (1 - f),
            dc * i * (1 - g * g),
            dh * shown * o * (1 - o),
        ]
        dz[t] = np.concatenate(gates, axis=-1)
        by_x[t] = norm_backward(dz[t] * weights["gain_ih"], *norm(of_x[t]))
        by_h[t] = norm_backward(dz[t] * weights["gain_hh"], *norm(of_h[t]))
        dc = dc * f
        dh = past + by_h[t] @ weights["weight_hh"]
    gradients = {
        "weight_ih": weight_gradient(by_x, x),
        "weight_hh": weight_gradient(by_h, h[:-1]),
        "bias_ih": dz.sum(axis=(0, 1)),
        "bias_hh": dz.sum(axis=(0, 1)),
        "gain_ih": (dz * norm(of_x)[0]).sum(axis=(0, 1)),
        "gain_hh": (dz * norm(of_h)[0]).sum(axis=(0, 1)),
        "gain_c": (dn * normed_c).sum(axis=(0, 1)),
        "bias_c": dn.sum(axis=(0, 1)),
    }
    return by_x @ weights["weight_ih"], dh, dc, gradients
