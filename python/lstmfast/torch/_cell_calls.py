"""A call of a module of single steps: read off its arguments, and run by the core, or given back to PyTorch.

As `_calls`, for single steps: a loop in Python makes thousands of these, so little is looked at twice.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import _cell_reading, _cell_run, _freezing, _paths
from ._cell_autograd import apply
from ._cell_weights import Seen, seen
from ._own import Own, own_of


class Prepared(NamedTuple):
    """A call that the core takes."""

    own: Own
    weights: list[Tensor]
    known: Seen | None  # None where they are frozen
    x: Tensor  # [B, I] or [I]
    h: Tensor | None
    c: Tensor | None


def prepare(module: Any, input: Any, hx: Any) -> Prepared | str:
    """Return the call as the core takes it, or why PyTorch's own path has to."""
    if reason := _paths.refusal_of_mode():
        return reason
    own = own_of(module)
    spec = own.packed.spec
    if not spec.has_memory and (reason := _cell_reading.refusal_of_cell(module, spec)):
        return reason
    weights = _cell_reading.weights_of(module)
    known = None
    if own.frozen is not None:
        _freezing.check(own, weights)
    else:
        found = seen(own, weights)
        if isinstance(found, str):
            return found
        known = found
    dtype = weights[0].dtype
    if reason := _paths.refusal_of_tensor(input, "the input", dtype):
        return reason
    shape = input.shape
    if len(shape) not in (1, 2) or shape[-1] != spec.input_size or 0 in shape:
        return f"the input's shape {tuple(shape)} is empty or not for input_size={spec.input_size}"
    if hx is None:
        return Prepared(own, weights, known, input, None, None)
    of_state = (*shape[:-1], spec.hidden_size)
    if not spec.has_memory:
        reason = _paths.refusal_of_state(hx, "h", of_state, dtype)
        return reason or Prepared(own, weights, known, input, hx, None)
    if not isinstance(hx, (tuple, list)) or len(hx) != 2:
        return "the state is no pair of h and c"
    h, c = hx
    return (
        _paths.refusal_of_state(h, "h", of_state, dtype)
        or _paths.refusal_of_state(c, "c", of_state, dtype)
        or Prepared(own, weights, known, input, h, c)
    )


def run(prepared: Prepared) -> Any:
    """Run a prepared call: what the module gives."""
    own, weights, known, x, h, c = prepared
    threads, frozen = torch.get_num_threads(), own.frozen
    network = own.packed.network(weights, threads) if frozen is None else frozen.network
    rows = len(x) if x.dim() == 2 else 1
    sizes: _cell_run.Sizes | None = own.sizes
    if sizes is None or sizes.rows != rows or sizes.threads != threads or sizes.dtype is not x.dtype:
        sizes = own.sizes = _cell_run.Sizes(own.packed.spec, rows, threads, x.dtype)
    if torch.is_grad_enabled():
        shared = known.shared() if known is not None and known.are_wanted else None
        if (
            shared is not None
            or x.requires_grad
            or (h is not None and h.requires_grad)
            or (c is not None and c.requires_grad)
        ):
            token = None if shared is None else shared.token
            if frozen is not None:  # on the graph they are constants
                weights = [weight.detach() for weight in weights]
            return apply(network, sizes, shared, weights, token, x, h, c)
    new_h, new_c = _cell_run.infer(network, sizes, x, h, c)
    return new_h if new_c is None else (new_h, new_c)
