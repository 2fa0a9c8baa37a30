"""One layer of the GRU in one direction, forward and backward. The equations: `lstmfast.reference`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .products import Array, input_product, sigmoid, weight_gradient


class GRUCache(NamedTuple):
    """What one layer's forward pass keeps for its backward pass."""

    x: Array  # [T, B, I]
    h: Array  # [T+1, B, H]: h[0] is the initial state, h[t+1] the state after step t
    gates: Array  # [T, B, 3H]: r, z, n after their activations
    recurrent: Array  # [T, B, H]: W_hn h + b_hn, which r multiplies; or r * h, which W_hn multiplies
    weight_ih: Array  # [3H, I]
    weight_hh: Array  # [3H, H]
    reset_after: bool


def gru_layer_forward(
    x: Array,
    h0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    *,
    reset_after: bool = True,
) -> tuple[Array, GRUCache]:
    """One GRU layer in one direction.

    Parameters
    ----------
    x : [T, B, I]
    h0 : [B, H]
    weight_ih : [3H, I]
    weight_hh : [3H, H]
    bias_ih, bias_hh : [3H], or None for no bias
    reset_after : bool
        Whether r multiplies W_hn h + b_hn, as in PyTorch, or h before W_hn does.

    Returns
    -------
    y : [T, B, H]
        h after each step. A view of ``cache.h``.
    cache : GRUCache
        For `gru_layer_backward`; ``cache.h[-1]`` is the final state.
    """
    T, B, _ = x.shape
    H = weight_hh.shape[1]
    a_x = input_product(x, weight_ih, bias_ih, None)
    b_h = np.zeros(3 * H, x.dtype) if bias_hh is None else bias_hh
    rz, n_ = slice(0, 2 * H), slice(2 * H, 3 * H)
    gates = np.empty((T, B, 3 * H), x.dtype)
    recurrent = np.empty((T, B, H), x.dtype)
    h = np.empty((T + 1, B, H), x.dtype)
    h[0] = h0
    for t in range(T):
        gates[t, :, rz] = sigmoid(a_x[t, :, rz] + h[t] @ weight_hh[rz].T + b_h[rz])
        r, z, n = _split_gates(gates[t])
        if reset_after:
            recurrent[t] = h[t] @ weight_hh[n_].T + b_h[n_]
            n[...] = np.tanh(a_x[t, :, n_] + r * recurrent[t])
        else:
            recurrent[t] = r * h[t]
            n[...] = np.tanh(a_x[t, :, n_] + recurrent[t] @ weight_hh[n_].T + b_h[n_])
        h[t + 1] = (1 - z) * n + z * h[t]
    return h[1:], GRUCache(x, h, gates, recurrent, weight_ih, weight_hh, reset_after)


def gru_layer_backward(
    cache: GRUCache, dy: Array, dh_n: Array
) -> tuple[Array, Array, tuple[Array, Array, Array, Array]]:
    """Gradients of one GRU layer in one direction.

    Parameters
    ----------
    cache : GRUCache
        Of `gru_layer_forward`. It is not changed, and may be used again.
    dy : [T, B, H]
    dh_n : [B, H]

    Returns
    -------
    dx : [T, B, I]
    dh0 : [B, H]
    (dweight_ih, dweight_hh, dbias_ih, dbias_hh) : [3H, I], [3H, H], [3H], [3H]
        The biases of n differ where r multiplies one of them.
    """
    x, h, gates, recurrent, weight_ih, weight_hh, reset_after = cache
    H = weight_hh.shape[1]
    r, z, n = _split_gates(gates)
    # Of the arguments of the gates: as x's weights and bias see them, and as h's do.
    da = np.empty_like(gates)
    da_h = np.empty_like(gates)
    dh = dh_n
    for t in reversed(range(len(x))):
        dh = dh + dy[t]  # h' is also the output of this step
        da_r, da_z, da_n = _split_gates(da[t])
        da_z[...] = dh * (h[t] - n[t]) * z[t] * (1 - z[t])  # h' = (1 - z) n + z h
        da_n[...] = dh * (1 - z[t]) * (1 - n[t] * n[t])
        direct = dh * z[t]  # no matrix and no squashing on this path, so it need not vanish
        if reset_after:  # n = tanh(... + r (W_hn h + b_hn))
            dr = da_n * recurrent[t]
            da_hn = da_n * r[t]
        else:  # n = tanh(... + W_hn (r h))
            d_reset = da_n @ weight_hh[2 * H :]
            dr = d_reset * h[t]
            direct = direct + d_reset * r[t]
            da_hn = da_n
        da_r[...] = dr * r[t] * (1 - r[t])
        da_h[t] = np.concatenate([da_r, da_z, da_hn], axis=1)
        through = da_h[t] if reset_after else da_h[t, :, : 2 * H]
        dh = direct + through @ weight_hh[: through.shape[1]]
    dx = (da.reshape(-1, 3 * H) @ weight_ih).reshape(x.shape)
    dweight_hh = weight_gradient(da_h, h[:-1])
    if not reset_after:
        dweight_hh[2 * H :] = weight_gradient(da_h[..., 2 * H :], recurrent)
    return dx, dh, (weight_gradient(da, x), dweight_hh, da.sum(axis=(0, 1)), da_h.sum(axis=(0, 1)))


def _split_gates(gates: Array) -> tuple[Array, Array, Array]:
    """Cut [..., 3H] into views [..., H] of r, z and n."""
    H = gates.shape[-1] // 3
    return gates[..., :H], gates[..., H : 2 * H], gates[..., 2 * H :]
