"""A call of a module of single steps: run by the core, or given back to PyTorch.

As `_calls`, for single steps: a loop in Python makes thousands of these, so that a call looks only whether
all is as it should be, and the reason why it is not is found when somebody asks (`refusal`, for `explain`).
"""

from __future__ import annotations

from typing import Any

import torch

from . import _cell_reading, _cell_run, _freezing, _paths
from ._cell_autograd import apply
from ._cell_weights import Seen, seen
from ._own import own_of


def call(module: Any, x: Any, hx: Any) -> Any:
    """Run a step: what the module gives; or None, where PyTorch's own path has to."""
    if _paths.refusal_of_mode():
        return None
    own = own_of(module)
    spec, frozen = own.packed.spec, own.frozen
    h: Any = hx
    c: Any = None
    known: Seen | None = None
    if spec.has_memory:
        if hx is not None:
            if not isinstance(hx, (tuple, list)) or len(hx) != 2:
                return None
            h, c = hx
    elif _cell_reading.refusal_of_cell(module, spec):
        return None
    weights = _cell_reading.weights_of(module)
    if frozen is not None:
        _freezing.check(own, weights)
    else:
        found = seen(own, weights)
        if isinstance(found, str):
            return None
        known = found
    dtype, threads = weights[0].dtype, torch.get_num_threads()
    if not _paths.is_for_core(x, dtype):
        return None
    sizes: _cell_run.Sizes | None = own.sizes
    if sizes is None or sizes.of_x != x.shape or sizes.threads != threads or sizes.dtype is not dtype:
        sizes = _cell_run.sizes_of(spec, x, threads)
        if sizes is None:
            return None
        own.sizes = sizes
    if hx is not None:
        if not _paths.is_for_core(h, dtype) or h.shape != sizes.of_state:
            return None
        if spec.has_memory and (not _paths.is_for_core(c, dtype) or c.shape != sizes.of_state):
            return None
    network = own.packed.network(weights, threads) if frozen is None else frozen.network
    if torch.is_grad_enabled():
        shared = known.shared() if known is not None and known.are_wanted else None
        if shared is not None or any(t is not None and t.requires_grad for t in (x, h, c)):
            token = None if shared is None else shared.token
            if frozen is not None:  # on the graph they are constants
                weights = [weight.detach() for weight in weights]
            return apply(network, sizes, shared, weights, token, x, h, c)
    new_h, new_c = _cell_run.infer(network, sizes, x, h, c)
    return new_h if new_c is None else (new_h, new_c)


def refuse_rows(module: Any, x: Any, hx: Any) -> None:
    """Refuse a state of rows beside an input without, of an LSTMCell: PyTorch's own step may go on with it.

    Raises
    ------
    ValueError
        If it is so.
    """
    if not isinstance(module, torch.nn.LSTMCell) or not isinstance(x, torch.Tensor) or x.dim() != 1:
        return
    if not isinstance(hx, (tuple, list, torch.Tensor)):
        return
    halves = list(hx[:2]) if not isinstance(hx, torch.Tensor) or hx.dim() else []
    for name, half in zip("hc", halves, strict=False):
        if isinstance(half, torch.Tensor) and half.dim() == 2 and half.shape[0] == module.hidden_size:
            raise ValueError(
                f"hx: expected {name} of shape ({module.hidden_size},) [H] beside an unbatched input [I],"
                f" got {tuple(half.shape)}"
            )


def refusal(module: Any, x: Any, hx: Any) -> str | None:
    """Say why PyTorch's own path has to take a call, if it has to."""
    own = own_of(module)
    spec = own.packed.spec
    weights = _cell_reading.weights_of(module)
    if own.frozen is not None:
        _freezing.check(own, weights)
    if reason := (
        _paths.refusal_of_mode()
        or _cell_reading.refusal_of_cell(module, spec)
        or _paths.refusal_of_weights(weights, own.packed.shapes)
        or _paths.refusal_of_tensor(x, "the input", weights[0].dtype)
    ):
        return reason
    sizes = _cell_run.sizes_of(spec, x, 1)
    if sizes is None:
        return f"the input's shape {tuple(x.shape)} is empty or not for input_size={spec.input_size}"
    if hx is None:
        return None
    states: Any = [hx]
    if spec.has_memory:
        if not isinstance(hx, (tuple, list)) or len(hx) != 2:
            return "the state is no pair of h and c"
        states = hx
    for name, state in zip("hc", states, strict=False):
        if reason := _paths.refusal_of_state(state, name, sizes.of_state, sizes.dtype):
            return reason
    return None
