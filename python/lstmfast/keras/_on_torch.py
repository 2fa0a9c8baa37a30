"""Keras on PyTorch: autograd's node of `lstmfast.torch`, and PyTorch's own operators for those who export."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..torch import _functions
from . import _torch_export
from ._on_none import adopt as adopt
from ._on_none import release as release
from ._reading import Recurrence
from ._weights import arranged, packed_of

BEGINS_WITH_STATE = False

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


# Not by functools.cache, past which torch.compile looks, with a warning.
_SPECS: dict[tuple[Recurrence, int], _functions.Spec] = {}


def _spec(recurrence: Recurrence, input_size: int) -> _functions.Spec:
    it = recurrence
    found = _SPECS.get((it, input_size))
    if found is None:
        found = _functions.Spec(it.cell, input_size, it.units, 1, False, it.bias, 0, it.variant)
        _SPECS[it, input_size] = found
    return found


def refusal(recurrences: list[Recurrence], tensors: list[Any], dtype: str) -> str | None:
    """Say why a call is none for the core, or None."""
    if torch.onnx.is_in_onnx_export():
        return _torch_export.refusal(recurrences)
    if _functions.is_traced():
        if torch.compiler.is_exporting():
            return "torch.export writes Keras' own steps"
        if any(it.variant is not None for it in recurrences):
            return "torch.compile has no operator of such a cell"
        fits = all(t.dtype is _DTYPES[dtype] and t.device.type == "cpu" for t in tensors)
        return None if fits else "a tensor is on another device, or of another dtype"
    return _functions.refusal(tensors, _DTYPES[dtype])


def known(mask: Any) -> Any:
    """Return the mask as an array, but where somebody traces: there its numbers are an example's."""
    if torch.onnx.is_in_onnx_export() or _functions.is_traced():
        return None
    return mask.numpy()


def taken(x: Any, index: Any) -> Any:
    """Take steps of x, [B, T, ...], row by row: index [B, N]."""
    index = index.long().unsqueeze(2).expand(-1, -1, x.shape[2])
    return torch.gather(x, 1, index)  # which exporters know


def run(
    cell: Any,
    recurrence: Recurrence,
    weights: list[Any],
    x: Any,
    state: list[Any],
    skipping: Any,
    wants_states: bool,
    training: bool,
) -> tuple[Any, list[Any]]:
    """Run one cell over all steps: y [B, T, H], and its last states [B, H]."""
    if torch.onnx.is_in_onnx_export():
        return _torch_export.run(recurrence, weights, x, state, skipping, wants_states)
    spec = _spec(recurrence, weights[0].shape[0])
    h0, c0 = (*(part[None] for part in state), None)[:2]
    if _functions.is_traced():
        lengths = None if skipping is None else skipping.lengths
        laid_out = [w.contiguous() for w in _arranged(recurrence, weights)]
        y, *ends = _functions.run_traced(spec, x, h0, c0, laid_out, lengths)
    else:
        lengths = None if skipping is None else np.ascontiguousarray(skipping.lengths, np.int64)
        dense = all(w.is_contiguous() for w in weights)
        network = packed_of(cell, recurrence).network(
            _functions.arrays_of(weights),
            torch.get_num_threads(),
            [w.data_ptr() for w in weights] if dense else None,
        )
        on_graph = torch.is_grad_enabled() and any(t.requires_grad for t in (x, *state, *weights))
        laid_out = _arranged(recurrence, weights) if on_graph else []
        y, *ends = _functions.run(network, spec, x, h0, c0, laid_out, lengths)
    return y, [end[0] for end in ends]


def _arranged(recurrence: Recurrence, weights: list[Any]) -> list[Any]:
    zeros = weights[0].new_zeros(weights[0].shape[1])
    return arranged(recurrence, weights, lambda parts: torch.cat(parts, -1), zeros)


def refuse_own_path(layer: Any, x: Any, reason: str) -> None:
    """Raise if Keras' own path would write one step into an ONNX file, in place of all."""
    if torch.onnx.is_in_onnx_export():
        _torch_export.refuse_own_path(layer, x, reason)
