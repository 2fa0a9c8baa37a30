"""Second derivatives by their formulas: what PyTorch finds by going through a gradient.

A gradient g of inputs z is that of <u, y>, for outputs y and their gradients u. Who goes back through g with
v asks for the derivatives of <v, g> = <u, y.>, y. being how y changes when z changes by v. So inputs and
changes go forward together, and back; only recurrences go step by step, all else is for all steps at once.
(Third derivatives, many at once, and rows cut by `lengths` and `reset`: `_higher`, which takes up to three
times as long.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from . import _reserve, _run, _second_gru
from ._second_cells import LSTM, RNN, Cell, ReluRNN, Weights
from ._second_gru import GRU
from ._second_steps import Steps
from ._weights import Spec

_Maybe: TypeAlias = Tensor | None


def can_take(call: _run.Call) -> bool:
    """Whether a call is one whose formulas are here."""
    return not call.is_cut and call.cut_rows == 0 and call.spec.variant is None


_CELLS: dict[str, type[Cell]] = {"lstm": LSTM, "rnn_tanh": RNN, "rnn_relu": ReluRNN, "gru": GRU}


def go_back(
    call: _run.Call,
    dropout: _run.Dropout,
    grads: Sequence[_Maybe],
    inputs: Sequence[Any],
    second: Sequence[_Maybe],
    y: Tensor,
    reserve: Tensor,
) -> list[_Maybe]:
    """Do what `_higher.go_back` does, once: return a tensor for each of (*grads, *inputs), needed or not.

    None for weights that nothing of it depends on: of a direction beside the one that changes.

    second: of each input, what comes back to its gradient; None is zero. y and reserve: what the core's
    forward pass gave and kept, gates too. For an h_0 or c_0 that is None the result is that at zero.
    """
    spec = call.spec
    directions, of_pass = spec.directions, spec.weights_of_pass
    x, h0, c0, *weights = inputs
    sizes = call.batch_sizes()
    in_time = [call.rows] * call.steps if sizes is None else sizes.tolist()
    steps = [Steps(in_time, reverse=direction == 1) for direction in range(directions)]
    widths = [spec.state_size, spec.hidden_size] if spec.has_memory else [spec.state_size]

    def flat(tensor: Tensor) -> Tensor:
        """Lay x, y or a gradient of theirs out as [N, ...], in the order of time."""
        if call.layout == _run.BATCH_FIRST:
            tensor = tensor.transpose(0, 1)
        return tensor.reshape(-1, tensor.shape[-1])

    def states(*given: _Maybe) -> list[Tensor]:
        shapes = [(spec.depth, call.rows, width) for width in widths]
        return [
            x.new_zeros(shape) if state is None else state.reshape(shape)
            for state, shape in zip(given, shapes, strict=False)  # an RNN has no c
        ]

    def part_of(direction: int) -> slice:
        """Say where a direction's part of y is."""
        return slice(direction * spec.state_size, (direction + 1) * spec.state_size)

    starts, start_changes = states(h0, c0), states(second[1], second[2])

    def weights_of(tensors: Sequence[Any], n: int) -> Weights:
        ih, hh, *others = tensors[n * of_pass : (n + 1) * of_pass]
        hr = others.pop() if spec.proj_size else None
        if spec.cell == "gru":
            return _second_gru.in_slots(ih, hh, *others)
        biases = [bias for bias in others if bias is not None]
        return Weights(ih, hh, torch.stack(biases).sum(0) if biases else None, hr)

    kept = _reserve.parts_of(reserve, spec, sum(in_time), call.rows, dropout.masks is not None)
    outputs = [*kept.hidden, flat(y)]
    cells: list[Cell] = []
    x_flat, change = flat(x), None if second[0] is None else flat(second[0])
    for layer in range(spec.num_layers):
        if layer:
            x_flat = outputs[layer - 1]
            if dropout.masks is not None:
                factors = dropout.factors(layer - 1, x_flat)
                x_flat, change = x_flat * factors, change * factors
        changes = []
        for direction, of in enumerate(steps):
            n = layer * directions + direction
            begin, begin_change = ([state[n] for state in each] for each in (starts, start_changes))
            gates_and_c = [of.turned(each[n]) for each in (kept.gates, kept.c) if each]
            h = of.turned(outputs[layer][:, part_of(direction)])
            cell = _CELLS[spec.cell](weights_of(weights, n), of, of.turned(x_flat), begin, h, *gates_and_c)
            cell.change(
                weights_of(second[3:], n), None if change is None else of.turned(change), begin_change
            )
            cells.append(cell)
            changes.append(of.turned_back(cell.h_change))
        change = torch.cat(changes, 1) if directions > 1 else changes[0]

    dy, *of_ends = grads
    u: Any = torch.zeros_like(change) if dy is None else flat(dy)
    u_ends = states(*of_ends)
    r = torch.zeros_like(change)
    of_states: list[Any] = [None] * len(cells)
    of_weights: list[Any] = [None] * len(cells)
    for layer in range(spec.num_layers - 1, -1, -1):
        below = []
        for direction, of in enumerate(steps):
            n = layer * directions + direction
            part = part_of(direction)
            mine = of.turned(u[:, part]), [s[n] for s in u_ends], of.turned(r[:, part])
            u_x, r_x, of_states[n], of_weights[n] = cells[n].go_back(*mine, is_first=layer == 0)
            below.append((None if u_x is None else of.turned_back(u_x), of.turned_back(r_x)))
        u, r = (
            each[0] if len(each) == 1 or each[0] is None else each[0] + each[1]
            for each in zip(*below, strict=True)
        )
        if layer and dropout.masks is not None:
            factors = dropout.factors(layer - 1, u)
            u, r = u * factors, r * factors

    ends = [torch.stack([cell.end_change[k] for cell in cells]) for k in range(len(starts))]
    back = [torch.stack([of[k] for of in of_states]) for k in range(len(starts))]
    found = [change, *ends, r, *back, *[back[0]] * (2 - len(back))]  # an RNN has no c: nobody asks for it
    for gradients, is_reached in zip(of_weights, _reached(call, second), strict=True):
        found += _of_pass(spec, gradients) if is_reached else [None] * of_pass
    if call.layout == _run.BATCH_FIRST:
        for n in (0, len(grads)):  # of y, and of x
            found[n] = found[n].view(call.steps, call.rows, -1).transpose(0, 1)
    return [
        tensor if like is None or tensor is None else tensor.reshape(like.shape)
        for tensor, like in zip(found, (*grads, *inputs), strict=True)
    ]


def _of_pass(spec: Spec, gradients: Weights) -> list[Any]:
    """Lay the gradients of a layer's weights in a direction out as PyTorch's parameters are.

    Each has its own memory: users write to gradients.
    """
    if spec.cell == "gru":
        found = _second_gru.out_of_slots(gradients)
        return found if spec.bias else found[:2]
    biases = [gradients.bias, gradients.bias.clone()] if spec.bias else []
    return [gradients.ih, gradients.hh, *biases, *([gradients.hr] if spec.proj_size else [])]


def _reached(call: _run.Call, second: Sequence[_Maybe]) -> list[bool]:
    """Of each layer and direction, whether anything depends on its weights: on those of a layer all do.

    With one layer, a direction whose weights do not change, while nothing else does, is by itself.
    """
    spec = call.spec
    if spec.num_layers > 1 or any(back is not None for back in second[:3]):
        return [True] * spec.depth
    of_pass = [second[3 + n * spec.weights_of_pass :][: spec.weights_of_pass] for n in range(spec.depth)]
    return [any(back is not None for back in changes) for changes in of_pass]
