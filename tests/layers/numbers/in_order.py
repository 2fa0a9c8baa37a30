"""Layers of one direction in the order of sums that docs/numerics.md states: each rounding where it says.

Weights are a layer's parameters by their names without _l0. Arrays of steps are [T, B, ...].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ...helpers import Array
from .exact import chain, fma, sigmoid, tanh

GROUP = 128  # terms of a chain of the weights' gradients
CHAINS = 16  # of a normalised row's sums
Weights = Mapping[str, Array]


class Pass(NamedTuple):
    """A forward pass: what it gives, and what of it the backward pass reads."""

    h: Array  # [T+1, B, S]
    c: Array  # [T+1, B, H]; zeros of a cell without
    gates: Array  # [T, B, G, H], activated; of a GRU n, r, z and q
    m: Array  # [T, B, H]: what a projection sees; r h where the reset gate comes before the product


class Gradients(NamedTuple):
    """What a backward pass gives."""

    dx: Array  # [T, B, I]
    dh0: Array  # [B, S]
    dc0: Array  # [B, H]
    weights: dict[str, Array]


def nothing(like: Array, width: int) -> Array:
    """Zeros from which chains start, [B, width]."""
    return np.zeros((len(like), width), like.dtype)


def _gates(z: Array, count: int) -> Array:
    """[B, G*H] as [G, B, H]."""
    return np.stack(np.split(z, count, axis=1))


# Forward: a step gives the new h, the new c, gates and m.

Step = Callable[[Weights, Array, Array, Array], tuple[Array, Array, Array, Array]]


def _sums(w: Weights, x: Array, h: Array) -> Array:
    """Both biases, then x by k, then h by k."""
    return chain(w["bias_ih"] + w["bias_hh"] + nothing(x, 1), (x, w["weight_ih"]), (h, w["weight_hh"]))


def lstm_step(w: Weights, x: Array, h: Array, c: Array) -> tuple[Array, Array, Array, Array]:
    """An LSTM's, with peepholes and a projection where there are weights of theirs."""
    z_i, z_f, z_g, z_o = _gates(_sums(w, x, h), 4)
    if "weight_ch" in w:
        peep_i, peep_f, peep_o = np.split(w["weight_ch"], 3)
        z_i, z_f = fma(peep_i, c, z_i), fma(peep_f, c, z_f)
    i, f, g = sigmoid(z_i), sigmoid(z_f), tanh(z_g)
    new = fma(f, c, i * g)
    o = sigmoid(fma(peep_o, new, z_o) if "weight_ch" in w else z_o)
    m = o * tanh(new)
    projected = chain(nothing(x, len(w["weight_hr"])), (m, w["weight_hr"])) if "weight_hr" in w else m
    return projected, new, np.stack([i, f, g, o]), m


def rnn_step(w: Weights, x: Array, h: Array, c: Array) -> tuple[Array, Array, Array, Array]:
    """An RNN's with tanh."""
    new = tanh(_sums(w, x, h))
    return new, c, new[np.newaxis], new


def gru_step(w: Weights, x: Array, h: Array, c: Array) -> tuple[Array, Array, Array, Array]:
    """A GRU's: n what x makes of the candidate, q what h does."""
    H = h.shape[1]
    r_and_z, of_n = slice(2 * H), slice(2 * H, None)
    gates = _sums({name: value[r_and_z] for name, value in w.items()}, x, h)
    n = chain(w["bias_ih"][of_n] + nothing(x, 1), (x, w["weight_ih"][of_n]))
    q = chain(w["bias_hh"][of_n] + nothing(x, 1), (h, w["weight_hh"][of_n]))
    r, z = _gates(sigmoid(gates), 2)
    n = tanh(fma(r, q, n))
    new = fma(z, h - n, n)
    return new, c, np.stack([n, r, z, q]), new


def reset_before_step(w: Weights, x: Array, h: Array, c: Array) -> tuple[Array, Array, Array, Array]:
    """That of a GRU whose reset gate comes before the product with h."""
    H = h.shape[1]
    r_and_z, of_n = slice(2 * H), slice(2 * H, None)
    r, z = _gates(sigmoid(_sums({name: value[r_and_z] for name, value in w.items()}, x, h)), 2)
    of_x = chain(w["bias_ih"][of_n] + w["bias_hh"][of_n] + nothing(x, 1), (x, w["weight_ih"][of_n]))
    m = r * h
    n = tanh(of_x + chain(nothing(x, H), (m, w["weight_hh"][of_n])))
    new = fma(z, h - n, n)
    return new, c, np.stack([r, z, n]), m


def sum_of_row(v: Array) -> Array:
    """[B, 1]: number j of a row in chain j mod 16; then the upper half of the chains added to the lower."""
    chains = nothing(v, CHAINS)
    for first in range(0, v.shape[1], CHAINS):
        piece = v[:, first : first + CHAINS]
        chains[:, : piece.shape[1]] += piece
    while chains.shape[1] > 1:
        half = chains.shape[1] // 2
        chains = chains[:, :half] + chains[:, half:]
    return chains


def normalised(v: Array) -> Array:
    """Less its mean, over the root of variance and 1e-5."""
    number = v.dtype.type
    count = number(v.shape[1])
    apart = v - sum_of_row(v) / count
    scale = number(1) / np.sqrt(sum_of_row(apart * apart) / count + number(1e-5))
    found: Array = apart * scale
    return found


def layer_norm_step(w: Weights, x: Array, h: Array, c: Array) -> tuple[Array, Array, Array, Array]:
    """A LayerNormLSTM's."""
    width = len(w["weight_ih"])
    of_x = normalised(chain(nothing(x, width), (x, w["weight_ih"])))
    of_h = normalised(chain(nothing(x, width), (h, w["weight_hh"])))
    z = fma(w["gain_ih"], of_x, fma(w["gain_hh"], of_h, w["bias_ih"] + w["bias_hh"]))
    z_i, z_f, z_g, z_o = _gates(z, 4)
    i, f, g, o = sigmoid(z_i), sigmoid(z_f), tanh(z_g), sigmoid(z_o)
    new = fma(f, c, i * g)
    m = o * tanh(fma(w["gain_c"], normalised(new), w["bias_c"]))
    return m, new, np.stack([i, f, g, o]), m


STEPS: dict[str, Step] = {
    "lstm": lstm_step,
    "rnn_tanh": rnn_step,
    "gru": gru_step,
    "gru, reset before": reset_before_step,
    "layer norm": layer_norm_step,
}


def forward(step: Step, w: Weights, x: Array, h0: Array, c0: Array) -> Pass:
    """All steps, one after the other."""
    h, c = [h0], [c0]
    gates: list[Array] = []
    m: list[Array] = []
    for frame in x:
        parts = step(w, frame, h[-1], c[-1])
        for kept, part in zip((h, c, gates, m), parts, strict=True):
            kept.append(part)
    return Pass(np.stack(h), np.stack(c), np.stack(gates).swapaxes(1, 2), np.stack(m))


# Backward: of a step's dh and dc to dz, dc of the step before, and what of dh goes past the products.


Back = Callable[[Weights, Pass, int, Array, Array], tuple[Array, Array, "Array | None"]]


def _lstm_back(w: Weights, p: Pass, t: int, dh: Array, dc: Array) -> tuple[Array, Array, Array | None]:
    i, f, g, o = np.moveaxis(p.gates[t], 1, 0)
    one, shown = dh.dtype.type(1), tanh(p.c[t + 1])
    dz_o = dh * shown * (o * (one - o))
    d = fma(dh * o, one - shown * shown, dc)
    if "weight_ch" in w:
        peep_i, peep_f, peep_o = np.split(w["weight_ch"], 3)
        d = fma(dz_o, peep_o, d)
    dz_i, dz_f, dz_g = d * g * (i * (one - i)), d * p.c[t] * (f * (one - f)), d * i * (one - g * g)
    before = d * f
    if "weight_ch" in w:
        before = fma(dz_f, peep_f, fma(dz_i, peep_i, before))
    return np.stack([dz_i, dz_f, dz_g, dz_o], axis=1), before, None


def _rnn_back(w: Weights, p: Pass, t: int, dh: Array, dc: Array) -> tuple[Array, Array, Array | None]:
    h = p.h[t + 1]
    return (dh * (dh.dtype.type(1) - h * h))[:, np.newaxis], dc, None


def _gru_back(w: Weights, p: Pass, t: int, dh: Array, dc: Array) -> tuple[Array, Array, Array | None]:
    n, r, z, q = np.moveaxis(p.gates[t], 1, 0)
    one = dh.dtype.type(1)
    dn = dh * (one - z) * (one - n * n)
    dz = [dn, dn * q * (r * (one - r)), dh * (p.h[t] - n) * (z * (one - z)), dn * r]
    return np.stack(dz, axis=1), dc, dh * z


def _reset_before_back(
    w: Weights, p: Pass, t: int, dh: Array, dc: Array
) -> tuple[Array, Array, Array | None]:
    r, z, n = np.moveaxis(p.gates[t], 1, 0)
    one, h = dh.dtype.type(1), p.h[t]
    dz_n = dh * (one - z) * (one - n * n)
    dm = chain(nothing(dh, dh.shape[1]), (dz_n, w["weight_hh"][2 * dh.shape[1] :].T))
    dz = [dm * h * (r * (one - r)), dh * (h - n) * (z * (one - z)), dz_n]
    return np.stack(dz, axis=1), dc, fma(dm, r, dh * z)


_BACK: dict[Step, Back] = {
    lstm_step: _lstm_back,
    rnn_step: _rnn_back,
    gru_step: _gru_back,
    reset_before_step: _reset_before_back,
}


def product_of_gates(dz: Array, weight: Array) -> Array:
    """dz [B, G, H] times weight [G*H, N]: a chain by k for each gate from zero, the sums added in order."""
    total: Array | None = None
    for g, rows in enumerate(np.split(weight, dz.shape[1])):
        one = chain(nothing(dz, weight.shape[1]), (dz[:, g], rows.T))
        total = one if total is None else total + one
    assert total is not None
    return total


def sum_in_groups(terms: list[tuple[Array, Array]], shape: tuple[int, ...]) -> Array:
    """Products a * b of terms, a chain of 128 from zero after the other; their sums are added in order."""
    dtype = terms[0][0].dtype
    total = np.zeros(shape, dtype)
    for first in range(0, len(terms), GROUP):
        group = np.zeros(shape, dtype)
        for a, b in terms[first : first + GROUP]:
            group = fma(a, b, group)
        total = total + group
    return total


def backward(step: Step, w: Weights, p: Pass, x: Array, dy: Array, dh_n: Array, dc_n: Array) -> Gradients:
    """All gradients of a forward pass."""
    T, B = x.shape[:2]
    H = p.c.shape[2]
    gru, before, projected = step is gru_step, step is reset_before_step, "weight_hr" in w
    # Of a GRU's slots n, r, z and q (or r, z and n) those of x, those of h, and rows of weights likewise.
    of_x, of_h = (slice(3), slice(1, 4)) if gru else (slice(4), slice(2) if before else slice(4))
    weight_x = np.roll(w["weight_ih"], H, axis=0) if gru else w["weight_ih"]
    weight_h = w["weight_hh"][: 2 * H] if before else w["weight_hh"]
    dh, dc, carry = dh_n, dc_n, None
    dz_of: list[Array] = []  # of the last step first, as the others
    dx_of: list[Array] = []
    dh_of: list[Array] = []
    for t in reversed(range(T)):
        if dz_of:
            arriving = product_of_gates(dz_of[-1][:, of_h], weight_h)
            dh = arriving if carry is None else arriving + carry
        dh = dy[t] + dh
        dh_of.append(dh)
        through = chain(nothing(dh, H), (dh, w["weight_hr"].T)) if projected else dh
        dz, dc, carry = _BACK[step](w, p, t, through, dc)
        dz_of.append(dz)
        dx_of.append(product_of_gates(dz[:, of_x], weight_x))
    dh0 = product_of_gates(dz_of[-1][:, of_h], weight_h)
    # Terms: of the last step first, rows b ascending.
    places = [(k, t, b) for k, t in enumerate(reversed(range(T))) for b in range(B)]

    def of_weight(slots: slice, inputs: Array) -> Array:
        rows = [(dz_of[k][b, slots].reshape(-1, 1), inputs[t, b]) for k, t, b in places]
        return sum_in_groups(rows, (len(rows[0][0]), inputs.shape[2]))

    def of_bias(slots: slice) -> Array:
        one = x.dtype.type(1)  # a product by it is exact: plain sums
        rows = [(dz_of[k][b, slots].ravel(), one) for k, _, b in places]
        return sum_in_groups(rows, rows[0][0].shape)

    def of_peephole(slot: int, memory: Array) -> Array:
        return sum_in_groups([(dz_of[k][b, slot], memory[t, b]) for k, t, b in places], (H,))

    def in_order(gradient: Array) -> Array:
        return np.roll(gradient, -H, axis=0) if gru else gradient

    weights = {
        "weight_ih": in_order(of_weight(of_x, x)),
        "weight_hh": of_weight(of_h, p.h),
        "bias_ih": in_order(of_bias(of_x)),
        "bias_hh": of_bias(slice(4) if before else of_h),
    }
    if before:
        weights["weight_hh"] = np.concatenate([weights["weight_hh"], of_weight(slice(2, 3), p.m)])
    if projected:
        rows = [(dh_of[k][b][:, np.newaxis], p.m[t, b]) for k, t, b in places]
        weights["weight_hr"] = sum_in_groups(rows, w["weight_hr"].shape)
    if "weight_ch" in w:  # o's sees the new c
        peepholes = [of_peephole(slot, memory) for slot, memory in ((0, p.c), (1, p.c), (3, p.c[1:]))]
        weights["weight_ch"] = np.stack(peepholes)
    return Gradients(np.stack(dx_of[::-1]), dh0 if carry is None else dh0 + carry, dc, weights)
