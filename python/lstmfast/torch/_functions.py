"""One layer in one direction as a function of its weights: for wings of ours whose layers are no modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from . import _autograd, _paths, _run
from ._arrays import AnyArray, array_of
from ._weights import Spec

__all__ = ["Spec", "arrays_of", "is_traced", "refusal", "run", "run_traced"]


def arrays_of(tensors: Sequence[Tensor]) -> list[AnyArray]:
    """See CPU tensors as arrays, whether or not they are on a graph; dense ones without a copy."""
    return [array_of(tensor) for tensor in tensors]


def is_traced() -> bool:
    """Whether somebody traces operators: torch.compile, make_fx, a dispatch mode. Then `run_traced`."""
    return torch.compiler.is_compiling() or bool(_paths.dispatch_modes())


def refusal(tensors: Sequence[Tensor], dtype: torch.dtype) -> str | None:
    """Say why the core cannot take part in what PyTorch is doing now, or cannot read one of the tensors."""
    if reason := _paths.refusal_of_mode():
        return reason
    for tensor in tensors:
        if not _paths.is_for_core(tensor, dtype):
            return _paths.refusal_of_tensor(tensor, "a tensor of the call", dtype)
    return None


def run(
    network: Any,
    spec: Spec,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Tensor],
    lengths: NDArray[Any] | None = None,
) -> tuple[Tensor, ...]:
    """Run forward from x, [B, T, I]: y [B, T, H], h_n and, of an LSTM, c_n [1, B, H], on autograd's graph.

    Parameters
    ----------
    network
        The core's, of these very weights.
    h0, c0
        [1, B, H]; None is zero.
    weights
        As PyTorch lays them out: weight_ih, weight_hh[, bias_ih, bias_hh]. Only the graph asks for them, and
        only where gradients are recorded.
    lengths
        Integers [B], in C order: steps of each row; None is T.
    """
    rows, steps = x.shape[:2]
    call = _run.Call(spec, _run.BATCH_FIRST, steps, rows, lengths, torch.get_num_threads())
    if weights and torch.is_grad_enabled():
        found: tuple[Tensor, ...] = _autograd.Recurrent.apply(
            network, call, _run.KEEP_ALL, x, h0, c0, *weights
        )
        return found
    return _run.infer(network, call, x, h0, c0)


def run_traced(
    spec: Spec, x: Tensor, h0: Tensor | None, c0: Tensor | None, weights: Sequence[Tensor], lengths: Any
) -> tuple[Tensor, ...]:
    """Do the same as an operator of the graph that is traced; of plain cells, with lengths as a tensor."""
    y, *states = torch.ops.lstmfast.recurrent(
        x.transpose(0, 1).contiguous(),
        h0,
        c0,
        list(weights),
        None,
        None,
        0.0,
        spec.cell,
        spec.bias,
        False,
        lengths,
        None,
        False,
        None,
        None,
    )
    return (y.transpose(0, 1), *states[: 2 if spec.has_memory else 1])
