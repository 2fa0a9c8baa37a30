"""A packed sequence step by step, by PyTorch's simplest operators: all that is at work may look into these.

For transforms of torch.func and forward-mode differentiation, which PyTorch's own operator of packed
sequences does not know. Slow, for the loop is in Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ._reading import weights_of
from ._weights import MEMORY

_CURVES = {"RNN_TANH": torch.tanh, "RNN_RELU": torch.relu}


def run(module: Any, data: Tensor, batch_sizes: Sequence[int], states: list[Tensor]) -> list[Tensor]:
    """Run all layers of a module.

    Parameters
    ----------
    data
        [N, I], packed.
    batch_sizes
        How many rows take part in each step, [T].
    states
        h_0 [L*D, B, S] and, of an LSTM, c_0 [L*D, B, H].

    Returns
    -------
    list
        y [N, D*S], h_n and, of an LSTM, c_n.
    """
    weights = weights_of(module)
    directions = 2 if module.bidirectional else 1
    of_pass = len(weights) // (module.num_layers * directions)
    ends: list[list[Tensor]] = []
    for layer in range(module.num_layers):
        if layer:
            data = functional.dropout(data, module.dropout, module.training)
        outputs = []
        for direction in range(directions):
            k = layer * directions + direction
            own = weights[k * of_pass : (k + 1) * of_pass]
            output, *end = _run_pass(module, data, batch_sizes, [s[k] for s in states], own, direction == 1)
            outputs.append(output)
            ends.append(end)
        data = torch.cat(outputs, -1)
    return [data, *(torch.stack(parts) for parts in zip(*ends, strict=True))]


def _run_pass(
    module: Any,
    data: Tensor,
    batch_sizes: Sequence[int],
    state: list[Tensor],
    weights: Sequence[Tensor],
    reverse: bool,
) -> list[Tensor]:
    """Run one layer in one direction: its outputs [N, S], and its last state."""
    w_ih, w_hh, *rest = weights
    b_ih, b_hh, *rest = rest if module.bias else (None, None, *rest)
    parts = list(functional.linear(data, w_ih, b_ih).split(list(batch_sizes)))
    outputs: list[Tensor] = []
    for part in reversed(parts) if reverse else parts:
        rows = part.shape[0]  # the first ones: rows that end later begin earlier in reverse
        h_before = state[0][:rows]
        of_h = functional.linear(h_before, w_hh, b_hh)
        if module.mode == "GRU":
            (r_x, z_x, n_x), (r_h, z_h, n_h) = part.chunk(3, -1), of_h.chunk(3, -1)
            n = torch.tanh(n_x + torch.sigmoid(r_x + r_h) * n_h)
            new = [n + torch.sigmoid(z_x + z_h) * (h_before - n)]
        elif MEMORY[module.mode]:
            i, f, g, o = (part + of_h).chunk(4, -1)
            c = torch.sigmoid(f) * state[1][:rows] + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            new = [functional.linear(h, rest[0]) if rest else h, c]
        else:
            new = [_CURVES[module.mode](part + of_h)]
        outputs.append(new[0])
        state = [torch.cat([now, before[rows:]]) for now, before in zip(new, state, strict=True)]
    return [torch.cat(outputs[::-1] if reverse else outputs), *state]
