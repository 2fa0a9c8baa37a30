"""One layer of the RNN in one direction, forward and backward. The equations: `lstmfast.reference`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .products import Array, input_and_weight_gradients, input_product


class RNNCache(NamedTuple):
    """What one layer's forward pass keeps for its backward pass."""

    x: Array  # [T, B, I]
    h: Array  # [T+1, B, H]: h[0] is the initial state, h[t+1] the state after step t
    weight_ih: Array  # [H, I]
    weight_hh: Array  # [H, H]
    nonlinearity: str


def rnn_layer_forward(
    x: Array,
    h0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    *,
    nonlinearity: str = "tanh",
) -> tuple[Array, RNNCache]:
    """One RNN layer in one direction.

    As `lstm_layer_forward` with H for 4H and no c; nonlinearity is "tanh" or "relu".
    """
    T, B, _ = x.shape
    H = weight_hh.shape[1]
    z_x = input_product(x, weight_ih, bias_ih, bias_hh)
    h = np.empty((T + 1, B, H), x.dtype)
    h[0] = h0
    for t in range(T):
        z = z_x[t] + h[t] @ weight_hh.T
        h[t + 1] = np.tanh(z) if nonlinearity == "tanh" else np.maximum(z, 0)
    return h[1:], RNNCache(x, h, weight_ih, weight_hh, nonlinearity)


def rnn_layer_backward(
    cache: RNNCache, dy: Array, dh_n: Array
) -> tuple[Array, Array, tuple[Array, Array, Array]]:
    """Gradients of one RNN layer in one direction: dx, dh0, (dweight_ih, dweight_hh, dbias).

    As `lstm_layer_backward` with H for 4H and no c. The slope of relu at 0 is taken as 0, and as in PyTorch
    relu stops nothing where h' is NaN.
    """
    x, h, weight_ih, weight_hh, nonlinearity = cache
    y = h[1:]
    dz = np.empty_like(y)
    dh = dh_n
    for t in reversed(range(len(x))):
        dh = dh + dy[t]  # h' is also the output of this step
        # From the output: tanh'(z) = 1 - h'^2, relu'(z) = 0 where h' <= 0 and else 1. Chosen, not multiplied:
        # where h' is NaN the gradient is not zero, and zero times infinity would be NaN.
        dz[t] = dh * (1 - y[t] * y[t]) if nonlinearity == "tanh" else np.where(y[t] <= 0, 0, dh)
        dh = dz[t] @ weight_hh  # every step multiplies by weight_hh: gradients vanish or explode
    dx, dweights = input_and_weight_gradients(dz, x, h[:-1], weight_ih)
    return dx, dh, dweights
