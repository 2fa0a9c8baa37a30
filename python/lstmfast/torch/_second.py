"""Second derivatives of padded sequences, by their formulas: what PyTorch finds by going through a gradient.

A gradient g of inputs z is that of <u, y>, for outputs y and their gradients u. Who goes back through g with
v asks for the derivatives of <v, g> = <u, y.>, y. being how y changes when z changes by v. So inputs and
changes go forward together, and back; only recurrences go step by step, all else is for all steps at once.
(Third derivatives, packed sequences and projections: `_higher`, which takes up to three times as long.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from . import _run
from ._second_cells import LSTM, RNN, Cell, ReluRNN, Weights

_Maybe: TypeAlias = Tensor | None


def can_take(call: _run.Call) -> bool:
    """Whether a call is one whose formulas are here."""
    return call.lengths is None and call.reset is None and not call.spec.proj_size


_CELLS: dict[str, type[Cell]] = {"lstm": LSTM, "rnn_tanh": RNN, "rnn_relu": ReluRNN}


def go_back(
    call: _run.Call,
    dropout: _run.Dropout,
    grads: Sequence[_Maybe],
    inputs: Sequence[Any],
    second: Sequence[_Maybe],
) -> list[Tensor]:
    """Do what `_higher.go_back` does, once: return a tensor for each of (*grads, *inputs), needed or not.

    second: of each input, what comes back to its gradient; None is zero. For an h_0 or c_0 that is None the
    result is that at zero.
    """
    spec = call.spec
    directions = spec.depth // spec.num_layers
    x, h0, c0, *weights = inputs
    lead = (spec.depth, call.rows)

    def time_major(tensor: Tensor) -> Tensor:
        if call.layout == _run.BATCH_FIRST:
            return tensor.transpose(0, 1)
        return tensor.reshape(call.steps, call.rows, -1)

    def state(tensor: _Maybe) -> Tensor:
        if tensor is None:
            return x.new_zeros((*lead, spec.hidden_size))
        return tensor.reshape(*lead, spec.hidden_size)

    def states(h: _Maybe, c: _Maybe) -> list[Tensor]:
        return [state(h), state(c)] if spec.has_memory else [state(h)]

    starts, start_changes = states(h0, c0), states(second[1], second[2])
    of_direction = 4 if spec.bias else 2

    def weights_of(tensors: Sequence[Any], n: int) -> Weights:
        ih, hh, *biases = tensors[n * of_direction : (n + 1) * of_direction]
        biases = [bias for bias in biases if bias is not None]
        return Weights(ih, hh, torch.stack(biases).sum(0) if biases else None)

    def plain_weights_of(n: int) -> Weights:
        found = weights_of(weights, n)
        return found if spec.bias else found._replace(bias=0.0)

    cells: list[Cell] = []
    y, y_change = time_major(x), None if second[0] is None else time_major(second[0])
    for layer in range(spec.num_layers):
        if layer and dropout.masks is not None:
            kept = dropout.factors(layer - 1, y)
            y, y_change = y * kept, y_change * kept
        parts = []
        for direction in range(directions):
            n = layer * directions + direction
            cell = _CELLS[spec.cell](plain_weights_of(n), _turned(y, direction), [s[n] for s in starts])
            x_change = None if y_change is None else _turned(y_change, direction)
            cell.change(weights_of(second[3:], n), x_change, [s[n] for s in start_changes])
            cells.append(cell)
            parts.append((_turned(cell.h, direction), _turned(cell.h_change, direction)))
        y, y_change = (torch.cat(each, 2) if directions > 1 else each[0] for each in zip(*parts, strict=True))

    dy, dh_n, *dc_n = grads
    u: Any = torch.zeros_like(y) if dy is None else time_major(dy)
    u_ends = states(dh_n, dc_n[0] if dc_n else None)
    r = torch.zeros_like(y)
    of_states: list[Any] = [None] * len(cells)
    of_weights: list[Any] = [None] * len(cells)
    for layer in range(spec.num_layers - 1, -1, -1):
        below = []
        for direction in range(directions):
            n = layer * directions + direction
            part = slice(direction * spec.hidden_size, (direction + 1) * spec.hidden_size)
            mine = _turned(u[..., part], direction), [s[n] for s in u_ends], _turned(r[..., part], direction)
            u_x, r_x, of_states[n], of_weights[n] = cells[n].go_back(*mine, is_first=layer == 0)
            below.append((None if u_x is None else _turned(u_x, direction), _turned(r_x, direction)))
        u, r = (
            each[0] if len(each) == 1 or each[0] is None else each[0] + each[1]
            for each in zip(*below, strict=True)
        )
        if layer and dropout.masks is not None:
            kept = dropout.factors(layer - 1, u)
            u, r = u * kept, r * kept

    ends = [torch.stack([cell.end_change[k] for cell in cells]) for k in range(len(starts))]
    back = [torch.stack([of[k] for of in of_states]) for k in range(len(starts))]
    found = [y_change, *ends, r, *back, *[back[0]] * (2 - len(back))]  # an RNN has no c: nobody asks for it
    for gradients in of_weights:
        found += [gradients.ih, gradients.hh, *[gradients.bias] * (of_direction - 2)]
    for n in (0, len(grads)):  # of y, and of x
        if call.layout == _run.BATCH_FIRST:
            found[n] = found[n].transpose(0, 1)
    return [
        tensor if like is None else tensor.reshape(like.shape)
        for tensor, like in zip(found, (*grads, *inputs), strict=True)
    ]


def _turned(sequence: Tensor, direction: int) -> Tensor:
    """Turn a sequence round for the reverse direction, and back."""
    return sequence.flip(0) if direction else sequence
