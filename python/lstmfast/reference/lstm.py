"""One layer of the LSTM in one direction, forward and backward. The equations: `lstmfast.reference`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .products import Array, input_and_weight_gradients, input_product, sigmoid


class LSTMCache(NamedTuple):
    """What one layer's forward pass keeps for its backward pass."""

    x: Array  # [T, B, I]
    h: Array  # [T+1, B, P]: h[0] is the initial state, h[t+1] the state after step t
    c: Array  # [T+1, B, H], likewise
    gates: Array  # [T, B, 4H]: i, f, g, o after their activations
    weight_ih: Array  # [4H, I]
    weight_hh: Array  # [4H, P]
    weight_hr: Array | None  # [P, H]


def lstm_layer_forward(
    x: Array,
    h0: Array,
    c0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    weight_hr: Array | None = None,
) -> tuple[Array, LSTMCache]:
    """One LSTM layer in one direction.

    Parameters
    ----------
    x : [T, B, I]
    h0 : [B, P]
    c0 : [B, H]
    weight_ih : [4H, I]
    weight_hh : [4H, P]
    bias_ih, bias_hh : [4H], or None for no bias
    weight_hr : [P, H], or None for no projection: then P = H

    Returns
    -------
    y : [T, B, P]
        h after each step. A view of ``cache.h``.
    cache : LSTMCache
        For `lstm_layer_backward`; ``cache.h[-1]`` and ``cache.c[-1]`` are the final state.
    """
    T, B, _ = x.shape
    H, P = len(weight_hh) // 4, weight_hh.shape[1]
    z_x = input_product(x, weight_ih, bias_ih, bias_hh)
    gates = np.empty((T, B, 4 * H), x.dtype)
    h = np.empty((T + 1, B, P), x.dtype)
    c = np.empty((T + 1, B, H), x.dtype)
    h[0], c[0] = h0, c0
    for t in range(T):
        z = z_x[t] + h[t] @ weight_hh.T
        gates[t] = sigmoid(z)  # i, f and o; one call for all is faster than leaving g out
        gates[t, :, 2 * H : 3 * H] = np.tanh(z[:, 2 * H : 3 * H])
        i, f, g, o = _split_gates(gates[t])
        c[t + 1] = f * c[t] + i * g
        m = o * np.tanh(c[t + 1])
        h[t + 1] = m if weight_hr is None else m @ weight_hr.T
    return h[1:], LSTMCache(x, h, c, gates, weight_ih, weight_hh, weight_hr)


def lstm_layer_backward(
    cache: LSTMCache, dy: Array, dh_n: Array, dc_n: Array, dc_y: Array | None = None
) -> tuple[Array, Array, Array, tuple[Array, ...]]:
    """Gradients of one LSTM layer in one direction.

    Parameters
    ----------
    cache : LSTMCache
        Of `lstm_layer_forward`. It is not changed, and may be used again.
    dy : [T, B, P]
    dh_n : [B, P]
    dc_n : [B, H]
    dc_y : [T, B, H], or None for zeros
        Of c after each step, where that is an output as well.

    Returns
    -------
    dx : [T, B, I]
    dh0 : [B, P]
    dc0 : [B, H]
    (dweight_ih, dweight_hh, dbias, dweight_hr) : [4H, I], [4H, P], [4H], [P, H]
        dbias belongs to bias_ih and to bias_hh alike: z sees only their sum. Without a projection there is
        no dweight_hr.
    """
    x, h, c, gates, weight_ih, weight_hh, weight_hr = cache
    i, f, g, o = _split_gates(gates)
    tanh_c = np.tanh(c[1:])

    # Partial derivatives within one step. They need the forward pass alone, so all T at once. With
    # s = sigmoid(z): ds/dz = s (1 - s), and with s = tanh(z): ds/dz = 1 - s^2.
    c_by_zi = g * i * (1 - i)  # c' = f c + i g
    c_by_zf = c[:-1] * f * (1 - f)
    c_by_zg = i * (1 - g * g)
    m_by_zo = tanh_c * o * (1 - o)  # m = o tanh(c')
    m_by_c = o * (1 - tanh_c * tanh_c)

    dz = np.empty_like(gates)
    dz_i, dz_f, dz_g, dz_o = _split_gates(dz)
    dh_after = np.empty_like(h[1:])  # of each h' in full, which the projection's weights ask for
    dh, dc = dh_n, dc_n  # of the state after step t, as far as later steps and the end use it
    for t in reversed(range(len(x))):
        dh_after[t] = dh + dy[t]  # h' is also the output of this step
        dm = dh_after[t] if weight_hr is None else dh_after[t] @ weight_hr  # h' = m, or weight_hr m
        if dc_y is not None:
            dc = dc + dc_y[t]
        dc = dc + dm * m_by_c[t]  # c' acts on later steps and, through m, at once
        dz_i[t] = dc * c_by_zi[t]
        dz_f[t] = dc * c_by_zf[t]
        dz_g[t] = dc * c_by_zg[t]
        dz_o[t] = dm * m_by_zo[t]
        dh = dz[t] @ weight_hh  # z = ... + weight_hh h
        dc = dc * f[t]  # c' = f c + ...: no matrix and no squashing on this path, so it need not vanish
    dx, dweights = input_and_weight_gradients(dz, x, h[:-1], weight_ih)
    if weight_hr is None:
        return dx, dh, dc, dweights
    P, H = weight_hr.shape
    dweight_hr = dh_after.reshape(-1, P).T @ (o * tanh_c).reshape(-1, H)
    return dx, dh, dc, (*dweights, dweight_hr)


def _split_gates(gates: Array) -> tuple[Array, Array, Array, Array]:
    """Cut [..., 4H] into views [..., H] of i, f, g and o."""
    H = gates.shape[-1] // 4
    return gates[..., :H], gates[..., H : 2 * H], gates[..., 2 * H : 3 * H], gates[..., 3 * H :]
