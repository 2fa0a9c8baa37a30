"""A call of a module: read off its arguments and weights, and run by the core, or given back to PyTorch.

Functions of a module and not methods: modules of all classes come here, with names of their own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from . import _autocast, _autograd, _cell_run, _cell_weights, _cuts, _freezing, _paths, _run
from ._cell_autograd import apply_step
from ._own import Own, own_of, recomputes
from ._quantized import Quantized
from ._reading import weights_of_call


class Prepared(NamedTuple):
    """A call that the core takes: all of it that is a tensor, and how to run it."""

    own: Own
    call: _run.Call
    weights: list[Tensor]
    x: Tensor
    h0: Tensor | None
    c0: Tensor | None
    packing: PackedSequence | None
    dtype: torch.dtype | None = None  # of the results, where it is not that of x
    begins: tuple[Tensor | None, ...] = ()  # of pieces at a cut, as `_cuts.begins` has it


def prepare(
    module: Any, input: Any, hx: Any, lengths: Any = None, reset: Any = None, reset_to: Any = None
) -> Prepared | str:
    """Return the call as the core takes it, or why PyTorch's own path has to.

    Raises as `LSTM.forward` says of `lengths`, `reset` and `reset_to`.
    """
    rounded = None
    if reason := _paths.refusal_of_mode():
        rounded = _autocast.stands_in(module, input) if reason is _paths.AUTOCAST else None
        if rounded is None:
            return reason
        input, hx = _autocast.widened(input, rounded), _autocast.widened(hx, rounded)
        reset_to = _autocast.widened(reset_to, rounded)
    own = own_of(module)
    weights = weights_of_call(module)
    if own.frozen is not None:
        _freezing.check(own, weights)
    elif reason := _paths.refusal_of_weights(weights, own.packed.shapes):
        return reason
    dtype = weights[0].dtype
    packing = input if isinstance(input, PackedSequence) else None
    x = input.data if packing is not None else input
    if reason := _paths.refusal_of_input(x, module.input_size, dtype):
        return reason
    batch_sizes = None
    layout = _run.TIME_MAJOR
    if packing is not None:
        if x.dim() != 2:
            return f"the packed data has the shape {tuple(x.shape)}"
        if reason := _paths.refusal_of_packing(packing):
            return reason
        batch_sizes = packing.batch_sizes
    elif x.dim() == 2:
        layout = _run.UNBATCHED
    elif module.batch_first:
        layout = _run.BATCH_FIRST
    call = _run.call_of(own.packed.spec, x, batch_sizes, torch.get_num_threads(), layout)
    begins: tuple[Tensor | None, ...] = ()
    if lengths is not None or reset is not None or reset_to is not None:
        _cuts.refuse_beside_packed(input, lengths, reset, reset_to)
        call = _cuts.cut(call, lengths, reset)
        begins = _cuts.begins(module, reset_to, x, call.rows, layout != _run.UNBATCHED)
        for begin in begins:
            if begin is None:
                continue
            if reason := _paths.refusal_of_tensor(begin, "reset_to", dtype):
                return reason
            call = call._replace(cut_rows=begin.shape[1])
    if hx is None:
        return Prepared(own, call, weights, x, None, None, packing, rounded, begins)
    if packing is not None:
        try:
            hx = module.permute_hidden(hx, packing.sorted_indices)
        except Exception:  # whatever is wrong with it, PyTorch's own path says it
            return "the initial state cannot be sorted as the packed sequence is"
    states = _states(hx, call, dtype)
    if isinstance(states, str):
        return states
    return Prepared(own, call, weights, x, *states, packing, rounded, begins)


def _states(hx: Any, call: _run.Call, dtype: torch.dtype) -> tuple[Tensor, Tensor | None] | str:
    spec = call.spec
    lead = (spec.depth,) if call.layout == _run.UNBATCHED else (spec.depth, call.rows)
    h_shape = (*lead, spec.state_size)
    if not spec.has_memory:
        return _paths.refusal_of_state(hx, "h_0", h_shape, dtype) or (hx, None)
    if not isinstance(hx, (tuple, list)) or len(hx) != 2:
        return "the initial state is no pair of h_0 and c_0"
    return (
        _paths.refusal_of_state(hx[0], "h_0", h_shape, dtype)
        or _paths.refusal_of_state(hx[1], "c_0", (*lead, spec.hidden_size), dtype)
        or (hx[0], hx[1])
    )


def run(module: Any, prepared: Prepared) -> Any:
    """Run a prepared call: what the module gives."""
    results = _run_core(module, prepared)
    if prepared.dtype is not None:
        results = tuple([result.to(prepared.dtype) for result in results])
    return _finish(module, prepared, results)


def _run_core(module: Any, prepared: Prepared) -> tuple[Tensor, ...]:
    own, call, weights, x, h0, c0, _, _, begins = prepared
    frozen = own.frozen
    if frozen is not None and isinstance(frozen, Quantized):
        return frozen.run(module, call, x, h0, c0, begins)
    network = own.packed.network(weights, call.threads) if frozen is None else frozen.network
    places = (x.shape[0],) if x.dim() == 2 else (call.steps, call.rows)
    dropout = draw_dropout(module, places, x.dtype)
    if torch.is_grad_enabled():
        given = (x, h0, c0, *begins) if frozen else (x, h0, c0, *weights, *begins)
        if any(tensor is not None and tensor.requires_grad for tensor in given):
            if frozen is not None:  # on the graph they are constants
                weights = [weight.detach() for weight in weights]
            if recomputes(module):
                call = call._replace(recompute=True)
            if call.steps == 1 and frozen is None and _is_single(prepared, call):
                known = _cell_weights.seen(own, weights)
                if not isinstance(known, str):
                    return _run_step(network, own, call, known, x, h0, c0)
            return _run_on_graph(network, call, dropout, x, h0, c0, weights, begins)
    if dropout.masks is not None:
        return _run.forward(network, call, x, h0, c0, dropout, begins=begins)[0]
    return _run.infer(network, call, x, h0, c0, begins)


# Up to so many rows a step's gradients of the weights take longer to be written and added than its tape to be
# put beside those of other steps. (Beyond, up to 64, it depends on H.)
_MOST_ROWS = 16


def _is_single(prepared: Prepared, call: _run.Call) -> bool:
    """Whether a call of one step is better a single step: of one layer, of few and whole rows."""
    spec = call.spec
    return (
        call.rows <= _MOST_ROWS
        and spec.num_layers == 1
        and not spec.bidirectional
        and not spec.proj_size
        and not (call.recompute or call.is_cut or prepared.begins)
        and prepared.packing is None
    )


def _run_step(
    network: Any,
    own: Own,
    call: _run.Call,
    known: _cell_weights.Seen,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
) -> tuple[Tensor, ...]:
    """Run a step, of a loop in Python, perhaps: the gradients of weights are made once for all of it."""
    if not x.is_contiguous():  # see `_run_on_graph`
        x = x.clone(memory_format=torch.contiguous_format)
    sizes: _cell_run.Sizes | None = own.sizes
    if (
        sizes is None
        or sizes.of_x != x.shape
        or sizes.rows != call.rows
        or sizes.threads != call.threads
        or sizes.dtype is not x.dtype
    ):
        own.sizes = sizes = _cell_run.sizes_of_call(call, x)
    shared = known.shared() if known.are_wanted else None
    token = None if shared is None else shared.token
    found: tuple[Tensor, ...] = apply_step(network, sizes, shared, known.weights, token, x, h0, c0)
    return found


def _run_on_graph(
    network: Any,
    call: _run.Call,
    dropout: _run.Dropout,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: list[Tensor],
    begins: tuple[Tensor | None, ...],
) -> tuple[Tensor, ...]:
    # PyTorch's own works on dense time-major x and keeps that for the backward pass: a copy, where x is not,
    # so that who writes into x afterwards changes nothing. Ours is one of x as it lies.
    if not (x.transpose(0, 1) if call.layout == _run.BATCH_FIRST else x).is_contiguous():
        x = x.clone()
    found: tuple[Tensor, ...] = _autograd.Recurrent.apply(
        network, call, dropout, x, h0, c0, *weights, *begins
    )
    return found


def draw_dropout(module: Any, places: tuple[int, ...], dtype: torch.dtype) -> _run.Dropout:
    """Draw what PyTorch would, for outputs of so many steps and rows, or rows of a packed sequence."""
    if not module.training or module.dropout == 0 or module.num_layers == 1:
        return _run.KEEP_ALL
    features = (2 if module.bidirectional else 1) * (module.proj_size or module.hidden_size)
    return _run.draw_dropout(module.dropout, module.num_layers - 1, (*places, features), dtype)


def _finish(module: Any, prepared: Prepared, results: tuple[Tensor, ...]) -> Any:
    y, *states = results
    hidden = tuple(states) if prepared.call.spec.has_memory else states[0]
    packing = prepared.packing
    if packing is None:
        return y, hidden
    output = PackedSequence(y, packing.batch_sizes, packing.sorted_indices, packing.unsorted_indices)
    return output, module.permute_hidden(hidden, packing.unsorted_indices)
