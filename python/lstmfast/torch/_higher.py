"""Gradients of gradients where `_second` has no formulas: the call once more, by PyTorch's own operators.

Until somebody goes back through a gradient, nothing of this runs: first derivatives are the core's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from . import _pieces, _run, _variants
from ._weights import Spec

_Maybe: TypeAlias = Tensor | None


def run(
    call: _run.Call,
    dropout: _run.Dropout,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    *weights: Any,
) -> tuple[Tensor, ...]:
    """Run a call by PyTorch's operators: y, h_n and, of an LSTM, c_n, each laid out as the core's is.

    Behind the weights, with cut_rows, is what pieces begin from at a cut.
    """
    spec = call.spec
    count = len(weights) - call.begins
    begins, weights = weights[count:], weights[:count]
    shape = x.shape[:-1]
    if call.layout == _run.BATCH_FIRST:
        x = x.transpose(0, 1)
    elif not call.packed:
        x = x.reshape(call.steps, call.rows, -1)
    if h0 is None:
        h0 = x.new_zeros((spec.depth, call.rows, spec.state_size))
        c0 = x.new_zeros((spec.depth, call.rows, spec.hidden_size)) if spec.has_memory else None
    elif call.layout == _run.UNBATCHED:
        h0, c0 = h0.unsqueeze(1), None if c0 is None else c0.unsqueeze(1)
    if call.is_cut:
        y, *states = _run_pieces(call, dropout, x, h0, c0, weights, begins)
    else:
        y, *states = _run_layers(spec, call.batch_sizes(), dropout, x, h0, c0, weights)
    if call.layout == _run.UNBATCHED:
        states = [state.squeeze(1) for state in states]
    y = y.transpose(0, 1) if call.layout == _run.BATCH_FIRST else y.reshape(*shape, -1)
    return y, *states


def _run_pieces(
    call: _run.Call,
    dropout: _run.Dropout,
    x: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    weights: Sequence[Tensor],
    begins: Sequence[Tensor | None],
) -> list[Tensor]:
    """Run forward from x, [T, B, I], whose rows `lengths` and `reset` cut."""
    spec, pieces = call.spec, _pieces.Pieces(call.steps, call.rows, call.lengths, call.reset, x.device)
    states = [h0] if c0 is None else [h0, c0]
    if pieces.count == 0:
        y = x.new_zeros((call.steps, call.rows, spec.features))
        return [part + _pieces.nothing_of(x, *weights) for part in (y, *states)]
    if dropout.masks is not None:
        masks = dropout.masks.reshape(-1, call.steps, call.rows, spec.features)
        dropout = _run.Dropout(torch.stack([pieces.pack(mask) for mask in masks]), dropout.scale)
    begin = pieces.all_initial(states, spec.directions, begins)
    begin_c = None if c0 is None else begin[1]
    y, *ends = _run_layers(spec, pieces.batch_sizes, dropout, pieces.pack(x), begin[0], begin_c, weights)
    last = [pieces.last(end, state, spec.directions) for end, state in zip(ends, states, strict=True)]
    return [pieces.unpack(y), *last]


def _run_layers(
    spec: Spec,
    batch_sizes: Tensor | None,
    dropout: _run.Dropout,
    x: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    weights: Sequence[Tensor],
) -> tuple[Tensor, ...]:
    """Run forward from x, [T, B, I], or [N, I] of a packed sequence beside its batch_sizes, [T]."""
    if spec.variant is not None:
        return _variants.run(spec, batch_sizes, x, h0, c0, weights)
    operator = getattr(torch, spec.cell)
    directions = spec.directions
    of_layer = len(weights) // spec.num_layers
    # All at once where nothing is dropped between layers.
    at_once = spec.num_layers if dropout.masks is None else 1
    y, ends = x, []
    for layer in range(0, spec.num_layers, at_once):
        if layer and dropout.masks is not None:
            y = y * dropout.factors(layer - 1, y)
        part = slice(layer * directions, (layer + at_once) * directions)
        states = h0[part] if c0 is None else (h0[part], c0[part])
        own = list(weights[layer * of_layer : (layer + at_once) * of_layer])
        how = (spec.bias, at_once, 0.0, False, spec.bidirectional)
        if batch_sizes is None:
            y, *end = operator(y, states, own, *how, False)
        else:
            y, *end = operator(y, batch_sizes, states, own, *how)
        ends.append(end)
    return y, *(parts[0] if len(parts) == 1 else torch.cat(parts) for parts in zip(*ends, strict=True))


def go_back(
    call: Callable[..., Sequence[Tensor]],
    grads: Sequence[_Maybe],
    inputs: Sequence[_Maybe],
    wanted: Sequence[bool],
    second: Sequence[_Maybe],
    needed: Sequence[bool],
) -> list[_Maybe]:
    """Go back through the gradient of a call.

    Parameters
    ----------
    call
        From inputs to outputs, by operators that PyTorch can differentiate twice.
    grads, inputs
        What the gradient was taken at: the outputs' gradients (None is zero), and the inputs.
    wanted
        Of which inputs it was taken.
    second
        What comes back: for each input, the gradient of its gradient, or None.
    needed
        For which of (*grads, *inputs) the result is asked.

    Returns
    -------
    list
        A tensor or None for each of (*grads, *inputs). On the graph if gradients are recorded now.
    """
    on_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        # Other names of the same tensors: what an input was itself made of must not be gone back through.
        here = [
            _alias(tensor, on_graph) if is_needed or is_wanted else tensor
            for tensor, is_needed, is_wanted in zip(
                (*grads, *inputs), needed, (*[False] * len(grads), *wanted), strict=True
            )
        ]
        dys, ins = here[: len(grads)], here[len(grads) :]
        outputs = [(output, dy) for output, dy in zip(call(*ins), dys, strict=True) if dy is not None]
        asked = [
            (tensor, back)
            for tensor, back, is_wanted in zip(ins, second, wanted, strict=True)
            if is_wanted and back is not None
        ]
        if not outputs or not asked:
            return [None] * len(here)
        first = torch.autograd.grad(
            [output for output, _ in outputs],
            [tensor for tensor, _ in asked],
            [dy for _, dy in outputs],
            create_graph=True,
            allow_unused=True,
        )
        through = [
            (gradient, back)
            for gradient, (_, back) in zip(first, asked, strict=True)
            if gradient is not None and gradient.requires_grad
        ]
        targets = [n for n, (tensor, is_needed) in enumerate(zip(here, needed, strict=True)) if is_needed]
        if not through or not targets:
            return [None] * len(here)
        found = torch.autograd.grad(
            [gradient for gradient, _ in through],
            [here[n] for n in targets],
            [back for _, back in through],
            create_graph=on_graph,
            allow_unused=True,
        )
    results: list[_Maybe] = [None] * len(here)
    for n, gradient in zip(targets, found, strict=True):
        results[n] = gradient
    return results


def _alias(tensor: _Maybe, on_graph: bool) -> _Maybe:
    if tensor is None:
        return None
    if on_graph and tensor.requires_grad:
        return tensor.view_as(tensor)
    return tensor.detach().requires_grad_()
