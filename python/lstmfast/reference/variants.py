"""Variants of the cells, one layer in one direction: peepholes, coupled gates, a clip, other activations.

The equations, with F, G and K three functions, and clip(z) within -clip and clip (or z where there is none):

    LSTM:  i = F(clip(z_i + p_i * c))   f = F(clip(z_f + p_f * c)), or 1 - i where coupled
           g = G(clip(z_g))             c' = f * c + i * g
           o = F(clip(z_o + p_o * c'))  m = o * K(c')                  h' = m, or W_hr m
    GRU:   r = F(clip(z_r))             u = F(clip(z_u))               n = G(clip(a + r * q))
           h' = (1 - u) * n + u * h     a = W_in x + b_in, q = W_hn h + b_hn (u: what is called z elsewhere)
           or, where r comes before:    n = G(clip(a + W_hn (r * h) + b_hn))
    RNN:   h' = F(clip(z))

Peepholes: F. A. Gers and J. Schmidhuber, "Recurrent nets that time and count", IJCNN 2000. Coupled gates:
K. Greff, R. K. Srivastava, J. Koutnik, B. R. Steunebrink and J. Schmidhuber, "LSTM: a search space odyssey",
arXiv:1503.04069. The functions, and where the clip is: ONNX's operators LSTM, GRU and RNN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from .products import Array, input_product, sigmoid, weight_gradient
from .zoneout import NONE, Zoneout

Numbers: TypeAlias = "tuple[float, ...]"  # alpha, or alpha and beta, or none
Activation: TypeAlias = "tuple[str, Numbers]"  # a function of FUNCTIONS, and its numbers


def _elu(z: Array, n: Numbers) -> Array:
    return np.where(z > 0, z, n[0] * np.expm1(np.minimum(z, 0)))


def _elu_slope(z: Array, n: Numbers) -> Array:
    return np.where(z > 0, 1, n[0] * np.exp(np.minimum(z, 0)))


def _hard(z: Array, n: Numbers) -> Array:
    inside: Array = np.clip(n[0] * z + n[1], 0, 1)
    return inside


def _hard_slope(z: Array, n: Numbers) -> Array:
    line = n[0] * z + n[1]
    return np.where((line > 0) & (line < 1), n[0], 0)


# Each with its slope, of z and the numbers.
FUNCTIONS: Mapping[str, tuple[Callable[[Array, Numbers], Array], Callable[[Array, Numbers], Array]]] = {
    "Tanh": (lambda z, n: np.tanh(z), lambda z, n: 1 - np.tanh(z) ** 2),
    "Sigmoid": (lambda z, n: sigmoid(z), lambda z, n: sigmoid(z) * sigmoid(-z)),
    "Relu": (lambda z, n: np.maximum(z, 0), lambda z, n: np.where(z > 0, 1, 0)),
    "Affine": (lambda z, n: n[0] * z + n[1], lambda z, n: np.full_like(z, n[0])),
    "LeakyRelu": (lambda z, n: np.where(z > 0, z, n[0] * z), lambda z, n: np.where(z > 0, 1, n[0])),
    "ThresholdedRelu": (lambda z, n: np.where(z > n[0], z, 0), lambda z, n: np.where(z > n[0], 1, 0)),
    "ScaledTanh": (
        lambda z, n: n[0] * np.tanh(n[1] * z),
        lambda z, n: n[0] * n[1] * (1 - np.tanh(n[1] * z) ** 2),
    ),
    "HardSigmoid": (_hard, _hard_slope),
    "Elu": (_elu, _elu_slope),
    "Softsign": (lambda z, n: z / (1 + np.abs(z)), lambda z, n: 1 / (1 + np.abs(z)) ** 2),
    "Softplus": (lambda z, n: np.logaddexp(0, z).astype(z.dtype), lambda z, n: sigmoid(z)),
}


class Variant(NamedTuple):
    """What a cell is beside its kind."""

    activations: tuple[Activation, ...]  # F, G and K, as many as the kind has
    clip: float | None
    coupled: bool
    reset_after: bool = True

    def gate(self, z: Array, which: int) -> tuple[Array, Array]:
        """Apply F or G to clipped arguments: values, and slopes by z."""
        name, numbers = self.activations[which]
        function, slope = FUNCTIONS[name]
        inside = z if self.clip is None else np.clip(z, -self.clip, self.clip)
        slopes = slope(inside, numbers).astype(z.dtype)
        if self.clip is not None:
            slopes = np.where(np.abs(z) > self.clip, 0, slopes)
        return function(inside, numbers).astype(z.dtype), slopes

    def shown(self, c: Array) -> tuple[Array, Array]:
        """Apply K, which nothing clips."""
        name, numbers = self.activations[2]
        function, slope = FUNCTIONS[name]
        return function(c, numbers).astype(c.dtype), slope(c, numbers).astype(c.dtype)


class VariantCache(NamedTuple):
    """What one layer's forward pass keeps for its backward pass."""

    x: Array  # [T, B, I]
    h: Array  # [T+1, B, P]: h[0] is the initial state, h[t+1] the state after step t
    c: Array  # [T+1, B, H], likewise; of an LSTM alone
    z: Array  # [T, B, G]: what the products give; of a GRU r, u, a
    q: Array  # [T, B, H], of a GRU: what h makes of the candidate; or, where r comes before, r h
    weights: Mapping[str, Array]
    variant: Variant
    zoneout: Zoneout


def _start(x: Array, h0: Array, weights: Mapping[str, Array]) -> tuple[Array, Array]:
    """Room for h, and what x makes of z."""
    h = np.empty((len(x) + 1, *h0.shape), x.dtype)
    h[0] = h0
    return h, input_product(x, weights["weight_ih"], weights.get("bias_ih"), weights.get("bias_hh"))


def _lstm_step(
    z: Array, c: Array, c_out: Array | None, p: Array | None, variant: Variant
) -> dict[str, tuple[Array, Array]]:
    """i, f, g and o with their slopes. o sees c_out, which the others make; None: the others alone."""
    H = c.shape[-1]
    parts = [z[..., k * H : (k + 1) * H] for k in range(z.shape[-1] // H)]
    z_i, z_g, z_o = parts[0], parts[-2], parts[-1]
    i = variant.gate(z_i if p is None else z_i + p[0] * c, 0)
    if variant.coupled:
        f = 1 - i[0], -i[1]
    else:
        f = variant.gate(parts[1] if p is None else parts[1] + p[1] * c, 0)
    steps = {"i": i, "f": f, "g": variant.gate(z_g, 1)}
    if c_out is not None:
        steps["o"] = variant.gate(z_o if p is None else z_o + p[-1] * c_out, 0)
    return steps


def lstm_variant_forward(
    x: Array, h0: Array, c0: Array, weights: Mapping[str, Array], variant: Variant, zoneout: Zoneout = NONE
) -> tuple[Array, VariantCache]:
    """As `lstm_layer_forward`; with weight_ch, [3, H] of i, f and o or, coupled, [2, H] of i and o."""
    h, z_x = _start(x, h0, weights)
    c = np.empty((len(x) + 1, *c0.shape), x.dtype)
    c[0] = c0
    z = np.empty_like(z_x)
    p = weights.get("weight_ch")
    for t in range(len(x)):
        z[t] = z_x[t] + h[t] @ weights["weight_hh"].T
        s = _lstm_step(z[t], c[t], None, p, variant)
        c[t + 1] = s["f"][0] * c[t] + s["i"][0] * s["g"][0]
        o, _ = _lstm_step(z[t], c[t], c[t + 1], p, variant)["o"]
        m = o * variant.shown(c[t + 1])[0]
        new = m @ weights["weight_hr"].T if "weight_hr" in weights else m
        h[t + 1] = zoneout.forward(t, new, h[t])
    return h[1:], VariantCache(x, h, c, z, z, weights, variant, zoneout)


def lstm_variant_backward(
    cache: VariantCache, dy: Array, dh_n: Array, dc_n: Array, dc_y: Array | None = None
) -> tuple[Array, Array, Array, dict[str, Array]]:
    """dx, dh0, dc0 and the gradients of the weights by name."""
    x, h, c, z, _, weights, variant, zoneout = cache
    p, weight_hr = weights.get("weight_ch"), weights.get("weight_hr")
    H = c.shape[-1]
    dz = np.empty_like(z)
    m, dh_after = np.empty_like(c[1:]), np.empty_like(h[1:])
    dp = None if p is None else np.zeros_like(p)
    dh, dc = dh_n, dc_n
    for t in reversed(range(len(x))):
        s = _lstm_step(z[t], c[t], c[t + 1], p, variant)
        (i, by_zi), (f, by_zf), (g, by_zg), (o, by_zo) = (s[name] for name in "ifgo")
        shown, by_c = variant.shown(c[t + 1])
        m[t] = o * shown
        dh_after[t], past = zoneout.backward(t, dh + dy[t])
        dm = dh_after[t] if weight_hr is None else dh_after[t] @ weight_hr
        dz_o = dm * shown * by_zo
        dc = dc + dm * o * by_c
        if dc_y is not None:
            dc = dc + dc_y[t]
        if p is not None:
            dc = dc + dz_o * p[-1]  # o sees c'
        if variant.coupled:
            gates = [dc * g * by_zi + dc * c[t] * by_zf]  # f = 1 - i
        else:
            gates = [dc * g * by_zi, dc * c[t] * by_zf]
        dz[t] = np.concatenate([*gates, dc * i * by_zg, dz_o], axis=1)
        dc = dc * f
        if p is not None and dp is not None:
            for k, gate in enumerate(gates):  # i, and f, see c
                dc = dc + gate * p[k]
                dp[k] += (gate * c[t]).sum(axis=0)
            dp[-1] += (dz_o * c[t + 1]).sum(axis=0)
        dh = past + dz[t] @ weights["weight_hh"]
    gradients = _sums(dz, dz, x, h)
    if dp is not None:
        gradients["weight_ch"] = dp
    if weight_hr is not None:
        gradients["weight_hr"] = dh_after.reshape(-1, len(weight_hr)).T @ m.reshape(-1, H)
    return (dz.reshape(-1, dz.shape[-1]) @ weights["weight_ih"]).reshape(x.shape), dh, dc, gradients


def rnn_variant_forward(
    x: Array, h0: Array, weights: Mapping[str, Array], variant: Variant, zoneout: Zoneout = NONE
) -> tuple[Array, VariantCache]:
    """As `rnn_layer_forward`."""
    h, z = _start(x, h0, weights)
    for t in range(len(x)):
        z[t] += h[t] @ weights["weight_hh"].T
        h[t + 1] = zoneout.forward(t, variant.gate(z[t], 0)[0], h[t])
    return h[1:], VariantCache(x, h, h, z, z, weights, variant, zoneout)


def rnn_variant_backward(
    cache: VariantCache, dy: Array, dh_n: Array
) -> tuple[Array, Array, dict[str, Array]]:
    """dx, dh0 and the gradients of the weights by name."""
    x, h, _, z, _, weights, variant, zoneout = cache
    dz = np.empty_like(z)
    dh = dh_n
    for t in reversed(range(len(x))):
        dh, past = zoneout.backward(t, dh + dy[t])
        dz[t] = dh * variant.gate(z[t], 0)[1]
        dh = past + dz[t] @ weights["weight_hh"]
    return (dz.reshape(-1, dz.shape[-1]) @ weights["weight_ih"]).reshape(x.shape), dh, _sums(dz, dz, x, h)


def gru_variant_forward(
    x: Array, h0: Array, weights: Mapping[str, Array], variant: Variant, zoneout: Zoneout = NONE
) -> tuple[Array, VariantCache]:
    """As `gru_layer_forward`."""
    H = h0.shape[-1]
    h, _ = _start(x, h0, {"weight_ih": weights["weight_ih"]})
    z = input_product(x, weights["weight_ih"], weights.get("bias_ih"), None)
    bias = weights.get("bias_hh", np.zeros(3 * H, x.dtype))
    q = np.empty((*x.shape[:2], H), x.dtype)
    rz, n_ = slice(2 * H), slice(2 * H, 3 * H)
    W_hh = weights["weight_hh"]
    for t in range(len(x)):
        z[t, :, rz] += h[t] @ W_hh[rz].T + bias[rz]
        if variant.reset_after:
            q[t] = h[t] @ W_hh[n_].T + bias[n_]
        else:
            q[t] = variant.gate(z[t, :, :H], 0)[0] * h[t]
            z[t, :, n_] += q[t] @ W_hh[n_].T + bias[n_]
        _, (u, _), (n, _) = _gru_step(z[t], q[t], variant)
        h[t + 1] = zoneout.forward(t, (1 - u) * n + u * h[t], h[t])
    return h[1:], VariantCache(x, h, h, z, q, weights, variant, zoneout)


def _gru_step(z: Array, q: Array, variant: Variant) -> Sequence[tuple[Array, Array]]:
    H = q.shape[-1]
    r, u = variant.gate(z[:, :H], 0), variant.gate(z[:, H : 2 * H], 0)
    return r, u, variant.gate(z[:, 2 * H :] + r[0] * q if variant.reset_after else z[:, 2 * H :], 1)


def gru_variant_backward(
    cache: VariantCache, dy: Array, dh_n: Array
) -> tuple[Array, Array, dict[str, Array]]:
    """dx, dh0 and the gradients of the weights by name."""
    x, h, _, z, q, weights, variant, zoneout = cache
    H = q.shape[-1]
    W_hn = weights["weight_hh"][2 * H :]
    by_x, by_h = np.empty_like(z), np.empty_like(z)  # dz as x's weights and as h's have part in it
    dh = dh_n
    for t in reversed(range(len(x))):
        (r, by_zr), (u, by_zu), (n, by_zn) = _gru_step(z[t], q[t], variant)
        dh, past = zoneout.backward(t, dh + dy[t])
        dn = dh * (1 - u) * by_zn
        dreset = dn @ W_hn  # where r comes before, of r h
        dr = dn * q[t] if variant.reset_after else dreset * h[t]
        gates = [dr * by_zr, dh * (h[t] - n) * by_zu]
        by_x[t] = np.concatenate([*gates, dn], axis=1)
        by_h[t] = np.concatenate([*gates, dn * r if variant.reset_after else dn], axis=1)
        if variant.reset_after:
            dh = past + dh * u + by_h[t] @ weights["weight_hh"]
        else:
            dh = past + dh * u + dreset * r + by_h[t, :, : 2 * H] @ weights["weight_hh"][: 2 * H]
    dx = (by_x.reshape(-1, by_x.shape[-1]) @ weights["weight_ih"]).reshape(x.shape)
    gradients = _sums(by_x, by_h, x, h)
    if not variant.reset_after:
        gradients["weight_hh"][2 * H :] = weight_gradient(by_h[..., 2 * H :], q)
    return dx, dh, gradients


def _sums(by_x: Array, by_h: Array, x: Array, h: Array) -> dict[str, Array]:
    """Gradients of weights and biases, from dz as each has part in it."""
    return {
        "weight_ih": weight_gradient(by_x, x),
        "weight_hh": weight_gradient(by_h, h[:-1]),
        "bias_ih": by_x.sum(axis=(0, 1)),
        "bias_hh": by_h.sum(axis=(0, 1)),
    }
