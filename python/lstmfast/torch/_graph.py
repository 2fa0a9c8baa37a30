"""A module's forward pass for those who trace: torch.compile, torch.export, make_fx, dispatch modes.

All that is done here is PyTorch's operators and those of `_operator_graph`, and nothing looks at data.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from .._base.kinds import BY_CELL
from . import _calls, _cuts, _freezing, _paths, _pieces, _quantized
from ._own import is_frozen, is_quantized, own_of, recomputes
from ._reading import weights_of
from ._weights import CELLS, MEMORY


def forward(
    module: Any, input: Any, hx: Any, lengths: Any = None, reset: Any = None, reset_to: Any = None
) -> Any:
    """Run all steps, as `Recurrent.forward` does."""
    cuts = (lengths, reset, reset_to)
    if is_quantized(module):
        return pytorch_forward(module, input, hx, *cuts)
    if torch.onnx.is_in_onnx_export():  # ONNX has an operator for PyTorch's own, and none for ours
        return call_pytorch(module, input, hx, *cuts)
    packed = isinstance(input, PackedSequence)
    x = input.data if packed else input
    weights = weights_of(module)
    if is_frozen(module):  # on the graph they are constants
        if not torch.compiler.is_compiling():
            _freezing.check(own_of(module), weights)
        weights = [weight.detach() for weight in weights]
    batch_sizes = input.batch_sizes if packed else None
    if batch_sizes is not None and (batch_sizes.dtype != torch.int64 or batch_sizes.dim() != 1):
        return pytorch_forward(module, input, hx, *cuts)
    if not _is_for_core(module, x, weights, packed) or not _is_state(module, hx):
        return pytorch_forward(module, input, hx, *cuts)
    unbatched = not packed and x.dim() == 2
    begins: tuple[Tensor | None, ...] = ()
    if any(cut is not None for cut in cuts):
        _cuts.refuse_beside_packed(input, *cuts)
        lengths, reset = _cuts.as_tensors(x, unbatched, module.batch_first, lengths, reset)
        rows = 1 if unbatched else x.shape[0 if module.batch_first else 1]
        fitting = _fitting(module, reset_to, x, rows, not unbatched)
        if fitting is None:  # out of a compiled graph, the error is what it is outside of one
            return pytorch_forward(module, input, hx, *cuts)
        begins = fitting
    if packed:
        hx = _sorted_state(module, input, hx)
    h0, c0 = (hx, None) if not MEMORY[module.mode] else hx if hx is not None else (None, None)
    if unbatched:
        x = x.unsqueeze(1)
        h0, c0 = (None if state is None else state.unsqueeze(1) for state in (h0, c0))
    elif not packed and module.batch_first:
        x = x.transpose(0, 1)
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        x = x.contiguous()  # as in `_calls`: who writes into x afterwards changes nothing
    if not _states_fit(module, x, h0, c0, packed):
        return pytorch_forward(module, input, hx, *cuts)

    y, *states = _run_operator(module, x, h0, c0, weights, batch_sizes, lengths, reset, begins)
    if not MEMORY[module.mode]:
        states = states[:1]
    if unbatched:
        y, states = y.squeeze(1), [state.squeeze(1) for state in states]
    elif not packed and module.batch_first:
        y = y.transpose(0, 1)
    hidden = (states[0], states[1]) if MEMORY[module.mode] else states[0]
    if not packed:
        return y, hidden
    output = PackedSequence(y, batch_sizes, input.sorted_indices, input.unsorted_indices)
    return output, module.permute_hidden(hidden, input.unsorted_indices)


def call_pytorch(
    module: Any, input: Any, hx: Any, lengths: Any = None, reset: Any = None, reset_to: Any = None
) -> Any:
    """Go PyTorch's own way; with smaller weights, ours."""
    cuts = (lengths, reset, reset_to)
    if is_quantized(module):
        return _run_quantized(module, input, hx, *cuts)
    if torch.is_autocast_enabled("cpu") and not torch.compiler.is_compiling():
        prepared = _calls.prepare(module, input, hx, *cuts)
        if not isinstance(prepared, str):  # where PyTorch's own could not
            return _calls.run(module, prepared)
    theirs: Any = _THEIRS[module.mode]
    if all(cut is None for cut in cuts):
        return theirs.forward(module, input, hx)
    return _pieces.forward(module, input, hx, *cuts, functools.partial(theirs.forward, module))


# Whose forward is PyTorch's own way.
_THEIRS = {mode: getattr(torch.nn, BY_CELL[cell].name) for mode, cell in CELLS.items()}


def _run_quantized(module: Any, input: Any, hx: Any, *cuts: Any) -> Any:
    """Run smaller weights as in eager mode, or raise."""
    keys = torch._C._TorchDispatchModeKey
    if any(torch._C._get_dispatch_mode(key) for key in (keys.PROXY, keys.FAKE, keys.FUNCTIONAL)):
        prepared: Any = "it is traced (by make_fx or torch.export), or has no data"
    else:
        prepared = _calls.prepare(module, input, hx, *cuts)
    if isinstance(prepared, str):
        _quantized.refuse(own_of(module), prepared)
    return _calls.run(module, prepared)


# call_pytorch for compiled graphs, which break there as they do at torch.nn.LSTM; `_dynamo` makes it.
break_at: Any = None


def pytorch_forward(module: Any, input: Any, hx: Any, *cuts: Any) -> Any:
    """Go PyTorch's own way, out of a compiled graph if need be."""
    return (break_at or call_pytorch)(module, input, hx, *cuts)


def _is_state(module: Any, hx: Any) -> bool:
    """Whether hx is what the module's cell has for a state, or nothing."""
    if hx is None:
        return True
    if not MEMORY[module.mode]:
        return isinstance(hx, Tensor)
    return isinstance(hx, (tuple, list)) and len(hx) == 2 and all(isinstance(state, Tensor) for state in hx)


def _is_for_core(module: Any, x: Tensor, weights: list[Tensor], packed: bool) -> bool:
    if torch.is_autocast_enabled("cpu") or x.dtype not in (torch.float32, torch.float64):
        return False
    if _paths.transforms_active() or (not torch.compiler.is_compiling() and _paths.refusal_of_mode()):
        return False
    if not all(isinstance(weight, Tensor) for weight in weights):
        return False
    if any(tensor.device.type != "cpu" or tensor.dtype != x.dtype for tensor in (x, *weights)):
        return False
    if x.dim() not in ((2,) if packed else (2, 3)) or x.shape[-1] != module.input_size:
        return False
    return all(size != 0 for size in x.shape)


def _fitting(
    module: Any, reset_to: Any, x: Tensor, rows: int, batched: bool
) -> tuple[Tensor | None, ...] | None:
    """Return what `_cuts.begins` does, or None where it raises."""
    try:
        return _cuts.begins(module, reset_to, x, rows, batched)
    except (TypeError, ValueError):
        return None


def _sorted_state(module: Any, input: PackedSequence, hx: Any) -> Any:
    """Return the initial state in the order of the packed rows; zeros where there is none, for they say B."""
    if hx is not None:
        return module.permute_hidden(hx, input.sorted_indices)
    order = input.sorted_indices
    rows = int(input.batch_sizes[0]) if order is None else order.shape[0]
    depth = module.num_layers * (2 if module.bidirectional else 1)
    h0 = input.data.new_zeros((depth, rows, module.proj_size or module.hidden_size))
    if not MEMORY[module.mode]:
        return h0
    return h0, input.data.new_zeros((depth, rows, module.hidden_size))


def _states_fit(module: Any, x: Tensor, h0: Any, c0: Any, packed: bool) -> bool:
    depth = module.num_layers * (2 if module.bidirectional else 1)
    for state, width in ((h0, module.proj_size or module.hidden_size), (c0, module.hidden_size)):
        if state is None:
            continue
        if state.dim() != 3 or state.dtype != x.dtype or state.shape[0] != depth or state.shape[2] != width:
            return False
        if not packed and state.shape[1] != x.shape[1]:
            return False
    return True


def _run_operator(
    module: Any,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: list[Tensor],
    batch_sizes: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    begins: tuple[Tensor | None, ...],
) -> tuple[Tensor, ...]:
    """y, h_n and c_n of time-major or packed x."""
    dropout = _calls.draw_dropout(module, x.shape[:-1], x.dtype)
    found: tuple[Tensor, ...] = torch.ops.lstmfast.recurrent(
        x,
        h0,
        c0,
        weights,
        batch_sizes,
        dropout.masks,
        dropout.scale,
        CELLS[module.mode],
        module.bias,
        module.bidirectional,
        lengths,
        reset,
        recomputes(module),
        *begins,
    )
    return found
