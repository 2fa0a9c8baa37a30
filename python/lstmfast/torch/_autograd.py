"""The core's forward and backward passes as one node of PyTorch's graph, each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from . import _higher, _many, _run, _second
from ._weights import Spec


class Recurrent(torch.autograd.Function):  # type: ignore[misc]
    """y, h_n and c_n from x, h_0, c_0 and the weights.

    All that backward needs is in saved tensors, so that hooks on them (checkpointing, offloading) have all of
    it in hand, and PyTorch notices a tensor that was changed in place meanwhile; only the packed weights are
    not.
    """

    @staticmethod
    def forward(
        ctx: Any,
        network: Any,
        call: _run.Call,
        dropout: _run.Dropout,
        x: Tensor,
        h0: Tensor | None,
        c0: Tensor | None,
        *weights: Any,
    ) -> tuple[Tensor, ...]:
        """Run forward. The network is that of the weights, which are arguments for the graph's sake.

        Behind them, with cut_rows, is what pieces begin from at a cut: a tensor or None for h, and for c.
        """
        begins = weights[len(weights) - call.begins :] if call.cut_rows else ()
        results, reserve = _run.forward(network, call, x, h0, c0, dropout, begins=begins)
        ctx.set_materialize_grads(False)
        ctx.network, ctx.call, ctx.scale = network, call, dropout.scale
        y = results[0] if pytorch_keeps_y(call.spec, x) else results[0].clone()
        # Whoever gives x another memory (x.data = ...) does not give it to the one that is kept; the other
        # says what that was on the graph, for gradients of gradients.
        on_graph = x if x.requires_grad else None
        ctx.save_for_backward(y, reserve, dropout.masks, x.detach(), on_graph, h0, c0, *weights)
        return results

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        """Go back, for what is wanted."""
        try:
            for gradient in grads:
                if gradient is not None:
                    gradient.data_ptr()
        except RuntimeError:  # it has no memory: it is sparse, or stands for many
            dense = [g if g is None or g.layout is torch.strided else g.to_dense() for g in grads]
            if any(map(_many.is_many, dense)):
                return (None, None, None, *_many.each(lambda *one: _go_back(ctx, one), dense))
            grads = tuple(dense)
        return (None, None, None, *_go_back(ctx, grads))


def _go_back(ctx: Any, grads: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
    """Find the gradients of x, h_0, c_0, the weights and what is behind them.

    On the graph if one is recorded (create_graph).
    """
    y, reserve, masks, x, on_graph, h0, c0, *weights = ctx.saved_tensors
    call: _run.Call = ctx.call
    needed = _run.reached(call, grads, ctx.needs_input_grad[3:])
    dropout = _run.Dropout(masks, ctx.scale) if masks is not None else _run.KEEP_ALL
    if not torch.is_grad_enabled():
        return _run.gradients(ctx.network, call, grads, x, y, reserve, needed, dropout)
    given = (*grads, x if on_graph is None else on_graph, h0, c0, *weights)
    results = iter(Gradient.apply(ctx.network, call, dropout, needed, x, y.detach(), reserve, *given))
    return [next(results) if is_needed else None for is_needed in needed]


class Gradient(torch.autograd.Function):  # type: ignore[misc]
    """The gradients of x, h_0, c_0 and the weights, as far as needed, on the graph of all they depend on.

    That is the outputs' gradients just as much as the inputs. First derivatives are the core's; what whoever
    goes back through them needs is in `_second` and `_higher`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        network: Any,
        call: _run.Call,
        dropout: _run.Dropout,
        wanted: Sequence[bool],
        x: Tensor,  # its numbers; what it is on the graph is among `given`, and may have others by now
        y: Tensor,
        reserve: Tensor,
        *given: Any,  # a tensor or None
    ) -> tuple[Tensor, ...]:
        """Go back; given: the gradients of y, h_n and, of an LSTM, c_n; x, h_0, c_0 and the weights."""
        outputs = 3 if call.spec.has_memory else 2
        found = _run.gradients(network, call, given[:outputs], x, y, reserve, wanted, dropout)
        ctx.set_materialize_grads(False)
        ctx.network, ctx.call, ctx.scale, ctx.wanted = network, call, dropout.scale, wanted
        ctx.save_for_backward(dropout.masks, x, y, reserve, *given)
        return tuple([gradient for gradient in found if gradient is not None])

    @staticmethod
    def backward(ctx: Any, *second: Tensor | None) -> tuple[Any, ...]:
        """Go back through the gradient."""
        masks, x, y, reserve, *given = ctx.saved_tensors
        call: _run.Call = ctx.call
        outputs = 3 if call.spec.has_memory else 2
        back = iter(second)
        through = [next(back) if is_wanted else None for is_wanted in ctx.wanted]
        dropout = _run.Dropout(masks, ctx.scale)
        plain = not torch.is_grad_enabled() and not any(map(_many.is_many, second))
        if plain and _second.can_take(call):
            _, h0, c0, *weights = given[outputs:]
            if call.recompute and call.spec.kept_gates:  # an RNN keeps all that is needed in any case
                call = call._replace(recompute=False)
                _, reserve = _run.forward(ctx.network, call, x, h0, c0, dropout)
            grads, inputs = given[:outputs], (x, h0, c0, *weights)
            needed = ctx.needs_input_grad[7:]
            reached = (*needed[:outputs], *_run.reached(call, grads, needed[outputs:]))
            found = [
                gradient if is_reached else None
                for gradient, is_reached in zip(
                    _second.go_back(call, dropout, grads, inputs, through, y, reserve), reached, strict=True
                )
            ]
        else:
            found = _higher.go_back(
                lambda *inputs: _higher.run(call, dropout, *inputs),
                given[:outputs],
                given[outputs:],
                ctx.wanted,
                through,
                ctx.needs_input_grad[7:],
            )
        return (*(None,) * 7, *found)


def pytorch_keeps_y(spec: Spec, x: Tensor) -> bool:
    """Whether PyTorch's own LSTM refuses that y be changed in place before the backward pass.

    With oneDNN its y is what it keeps; else y is a copy, and users may write to it. So they may to ours: then
    it is we who keep a copy.
    """
    plain = not spec.bidirectional and not spec.proj_size
    return spec.cell == "lstm" and x.dtype is torch.float32 and plain
