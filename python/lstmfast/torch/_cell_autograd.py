"""A single step as a node of PyTorch's graph, and the weights of many steps as one more.

The gradient of a weight is a sum over steps, and each summand is as large as the weight: at B = 1 making and
adding them takes most of the time of PyTorch's training loop. So steps leave what those are made of with the
node of their weights, which comes after all of them, and makes the sum at once: see `_cell_weights`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from . import _cell_run, _many, _run
from ._autograd import Gradient, pytorch_keeps_y
from ._cell_weights import Shared, Step, as_call

_Maybe: TypeAlias = Tensor | None


class RecurrentCell(torch.autograd.Function):  # type: ignore[misc]
    """The new h and, of an LSTM, c, of x, h, c and a token that stands for the weights (None: constants)."""

    @staticmethod
    def forward(
        ctx: Any,
        network: Any,
        sizes: _cell_run.Sizes,
        shared: Shared | None,
        weights: Sequence[Tensor],  # in a list, so that no edge of the graph leads to them
        token: _Maybe,
        x: Tensor,
        h: _Maybe,
        c: _Maybe,
    ) -> Any:
        """Run a step."""
        new_h, new_c, kept = _cell_run.forward(network, sizes, x, h, c)
        ctx.set_materialize_grads(False)
        ctx.of = network, sizes, shared
        # PyTorch keeps the result of an RNN, which must not be changed in place then; those of others it
        # does not keep.
        result = None if sizes.spec.kept_gates else new_h
        ctx.save_for_backward(kept, x, h, c, result, *weights)
        return new_h if new_c is None else (new_h, new_c)

    @staticmethod
    def backward(ctx: Any, dh: _Maybe, dc: _Maybe = None) -> tuple[Any, ...]:
        """Go back to x and the state before, for what is wanted; weights are left for later."""
        if dh is None and dc is None:
            return _NOTHING
        kept, x, h, c, _, *weights = ctx.saved_tensors
        return _back(ctx, x, x, (h, c, kept, weights), _many.dense(dh), _many.dense(dc))


class RecurrentStep(torch.autograd.Function):  # type: ignore[misc]
    """The same of a module of sequences whose call has one step: y, h_n and, of an LSTM, c_n.

    Whoever loops over such calls has PyTorch make and add gradients of all weights at each of them.
    """

    @staticmethod
    def forward(
        ctx: Any,
        network: Any,
        sizes: _cell_run.Sizes,
        shared: Shared | None,
        weights: Sequence[Tensor],
        token: _Maybe,
        x: Tensor,
        h: _Maybe,
        c: _Maybe,
    ) -> Any:
        """Run a step."""
        new_h, new_c, kept = _cell_run.forward(network, sizes, x, h, c)
        y = new_h.clone().view(sizes.of_y)  # with memory of its own: either may be changed in place
        ctx.set_materialize_grads(False)
        ctx.of = network, sizes, shared
        # As `Recurrent` keeps them: y where PyTorch does, and x apart from what it is on the graph.
        result, on_graph = y if pytorch_keeps_y(sizes.spec, x) else None, x if x.requires_grad else None
        ctx.save_for_backward(kept, x.detach(), on_graph, h, c, result, *weights)
        return (y, new_h) if new_c is None else (y, new_h, new_c)

    @staticmethod
    def backward(ctx: Any, dy: _Maybe, dh: _Maybe, dc: _Maybe = None) -> tuple[Any, ...]:
        """Go back as a single step does; what arrives at y and at h_n is of the same numbers."""
        if dy is None and dh is None and dc is None:
            return _NOTHING
        kept, x, on_graph, h, c, _, *weights = ctx.saved_tensors
        dy, dh, dc = map(_many.dense, (dy, dh, dc))
        if dy is not None:
            dy = dy.reshape(ctx.of[1].of_state)
            dh = dy if dh is None else dh + dy
        return _back(ctx, x, x if on_graph is None else on_graph, (h, c, kept, weights), dh, dc)


def _back(
    ctx: Any,
    x: Tensor,
    on_graph: Tensor,
    others: tuple[_Maybe, _Maybe, Tensor, Sequence[Tensor]],
    dh: _Maybe,
    dc: _Maybe,
) -> tuple[Any, ...]:
    """Go back from the gradients of a step's results.

    x: its numbers; on_graph: what it is on the graph. others: h and c before the step, what forward kept,
    and the weights.
    """
    network, sizes, shared = ctx.of
    h, c, kept, weights = others
    *_, of_x, of_h, of_c = ctx.needs_input_grad
    recorded = torch.is_grad_enabled()
    if shared is not None and shared.are_wanted():
        if recorded:  # what a step depends on is for gradients of gradients alone
            shared.add(Step(network, sizes, weights, on_graph, h, c, kept, dh, dc))
        else:
            shared.add(Step(network, sizes, weights, x.detach(), None, None, kept, dh, dc))
    if not (of_x or of_h or of_c):
        return _NOTHING
    if recorded or _many.is_many(dh) or _many.is_many(dc):
        step, wanted = Step(network, sizes, weights, on_graph, h, c, kept, dh, dc), (of_x, of_h, of_c)
        dx, dh0, dc0 = _many.all_of(lambda *grads: _on_graph(step, grads, wanted), (dh, dc))
    else:
        dx, dh0, dc0 = _cell_run.back(network, sizes, x, kept, dh, dc, of_x)
    return None, None, None, None, None, dx, dh0 if of_h else None, dc0 if of_c else None


_NOTHING = (None,) * 8

# What `apply` of each comes to where no transform of torch.func is at work, which calls have seen to.
apply = super(torch.autograd.Function, RecurrentCell).apply
apply_step = super(torch.autograd.Function, RecurrentStep).apply


def _on_graph(step: Step, grads: Sequence[_Maybe], wanted: Sequence[bool]) -> list[_Maybe]:
    """Find the gradients of x, h and c, on the graph if one is recorded."""
    needed = (*wanted, *[False] * len(step.weights))
    results = iter(
        Gradient.apply(
            step.network,
            step.sizes.call,
            _run.KEEP_ALL,
            needed,
            *as_call(step._replace(dh=grads[0], dc=grads[1])),
        )
    )
    return [
        next(results).reshape(like.shape) if is_wanted else None
        for like, is_wanted in zip((step.x, step.h, step.c), wanted, strict=True)
    ]
