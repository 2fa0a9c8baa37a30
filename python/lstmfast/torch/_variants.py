"""Variants of the cells by PyTorch's operators, step by step: what gradients of gradients go back through.

The equations are those of `reference/variants.py`, without what nothing of ours on PyTorch has (peepholes, a
clip, coupled gates).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ._weights import Spec

_FUNCTIONS: Mapping[str, Callable[[Tensor, float, float], Tensor]] = {
    "Tanh": lambda z, a, b: torch.tanh(z),
    "Sigmoid": lambda z, a, b: torch.sigmoid(z),
    "Relu": lambda z, a, b: torch.relu(z),
    "Affine": lambda z, a, b: a * z + b,
    "LeakyRelu": lambda z, a, b: functional.leaky_relu(z, a),
    "ThresholdedRelu": lambda z, a, b: functional.threshold(z, a, 0.0),
    "ScaledTanh": lambda z, a, b: a * torch.tanh(b * z),
    "HardSigmoid": lambda z, a, b: (a * z + b).clamp(0.0, 1.0),
    "Elu": lambda z, a, b: functional.elu(z, a),
    "Softsign": lambda z, a, b: functional.softsign(z),
    "Softplus": lambda z, a, b: torch.logaddexp(z, torch.zeros_like(z)),
}


def run(
    spec: Spec,
    batch_sizes: Tensor | None,
    x: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    weights: Sequence[Tensor],
) -> tuple[Tensor, ...]:
    """Run one layer in one direction: y, h_n and, of an LSTM, c_n.

    x is [T, B, I], or [N, I] of a packed sequence beside its batch_sizes, [T].
    """
    assert spec.variant is not None
    f, g, k = (_function(each) for each in spec.variant[:3])
    w_ih, w_hh, *biases = weights
    b_ih, b_hh = biases or (None, None)
    pieces = list(x) if batch_sizes is None else list(x.split(batch_sizes.tolist()))
    h, c = h0[0], None if c0 is None else c0[0]
    outputs, ended_h, ended_c = [], [], []
    for piece in pieces:
        rows = len(piece)
        if rows < len(h):  # of the last rows, which end here
            ended_h.append(h[rows:])
            h = h[:rows]
            if c is not None:
                ended_c.append(c[rows:])
                c = c[:rows]
        if spec.kind.has_memory:
            z_i, z_f, z_g, z_o = _sums(piece, h, w_ih, w_hh, b_ih, b_hh).chunk(4, 1)
            c = f(z_f) * c + f(z_i) * g(z_g)
            h = f(z_o) * k(c)
        elif spec.kind.gates == 1:
            h = f(_sums(piece, h, w_ih, w_hh, b_ih, b_hh))
        else:
            h = _gru_step(spec, piece, h, (w_ih, w_hh, b_ih, b_hh), f, g)
        outputs.append(h)
    y = torch.stack(outputs) if batch_sizes is None else torch.cat(outputs)
    h_n = torch.cat([h, *reversed(ended_h)])[None]
    return (y, h_n) if c is None else (y, h_n, torch.cat([c, *reversed(ended_c)])[None])


def _function(named: tuple[str, float, float]) -> Callable[[Tensor], Tensor]:
    name, alpha, beta = named
    return lambda z: _FUNCTIONS[name](z, alpha, beta)


def _sums(x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Any, b_hh: Any) -> Tensor:
    return functional.linear(x, w_ih, b_ih) + functional.linear(h, w_hh, b_hh)


def _gru_step(
    spec: Spec,
    x: Tensor,
    h: Tensor,
    weights: tuple[Tensor, Tensor, Any, Any],
    f: Callable[[Tensor], Tensor],
    g: Callable[[Tensor], Tensor],
) -> Tensor:
    w_ih, w_hh, b_ih, b_hh = weights
    gates = 2 * spec.hidden_size  # r and z, before n
    a_r, a_z, a_n = functional.linear(x, w_ih, b_ih).chunk(3, 1)
    b_gates, b_n = (None, None) if b_hh is None else (b_hh[:gates], b_hh[gates:])
    q_r, q_z = functional.linear(h, w_hh[:gates], b_gates).chunk(2, 1)
    r, z = f(a_r + q_r), f(a_z + q_z)
    if spec.cell == spec.kind.reset_before:
        n = g(a_n + functional.linear(r * h, w_hh[gates:], b_n))
    else:
        n = g(a_n + r * functional.linear(h, w_hh[gates:], b_n))
    return (1 - z) * n + z * h
