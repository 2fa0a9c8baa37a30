"""The core's forward and backward passes as one node of PyTorch's graph."""

from __future__ import annotations

from typing import Any, NoReturn

import torch
from torch import Tensor

from . import _run
from ._weights import Spec

TWICE = (
    "lstmfast.torch computes gradients, but not gradients of gradients (create_graph=True). PyTorch's own"
    " path does, where oneDNN is off: torch.backends.mkldnn.flags(enabled=False) after"
    " lstmfast.torch.restore(model)"
)

BATCHED = (
    "lstmfast.torch computes one gradient at a time, not many at once (is_grads_batched, vectorize=True);"
    " PyTorch's own path does: lstmfast.torch.restore(model)"
)


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
        *weights: Tensor,
    ) -> tuple[Tensor, ...]:
        """Run forward. The network is that of the weights, which are arguments for the graph's sake."""
        results, reserve = _run.forward(network, call, x, h0, c0, dropout)
        ctx.set_materialize_grads(False)
        ctx.network, ctx.call, ctx.scale = network, call, dropout.scale
        y = results[0] if _pytorch_keeps_y(call.spec, x) else results[0].clone()
        ctx.save_for_backward(y, reserve, dropout.masks, x, h0, c0, *weights)
        return results

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        """Go back, for what is wanted."""
        if any(gradient is not None and _has_no_memory(gradient) for gradient in grads):
            raise RuntimeError(BATCHED)
        y, reserve, masks, *inputs = ctx.saved_tensors
        x = inputs[0]
        _, _, _, x_wanted, h0_wanted, c0_wanted, *weights_wanted = ctx.needs_input_grad
        wanted = [x_wanted, h0_wanted or c0_wanted, *weights_wanted]
        found = _run.backward(
            ctx.network, ctx.call, grads, x, y, reserve, wanted, _run.Dropout(masks, ctx.scale)
        )
        dx, dh0, dc0, *dweights = found
        found = (dx, dh0 if h0_wanted else None, dc0 if c0_wanted else None, *dweights)
        if torch.is_grad_enabled():  # create_graph=True
            found = once(found, inputs)
        return (None, None, None, *found)


def _has_no_memory(gradient: Tensor) -> bool:
    """Whether it stands for many gradients, as PyTorch's vmap gives them."""
    try:
        gradient.data_ptr()
    except RuntimeError:
        return True
    return False


def _pytorch_keeps_y(spec: Spec, x: Tensor) -> bool:
    """Whether PyTorch's own LSTM refuses that y be changed in place before the backward pass.

    With oneDNN its y is what it keeps; else y is a copy, and users may write to it. So they may to ours: then
    it is we who keep a copy.
    """
    plain = not spec.bidirectional and not spec.proj_size
    return spec.cell == "lstm" and x.dtype is torch.float32 and plain


def once(found: tuple[Tensor | None, ...], inputs: list[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Hang gradients on a graph that refuses to be gone through, from all that they depend on."""
    refusing = iter(_Once.apply([gradient for gradient in found if gradient is not None], *inputs))
    return tuple(None if gradient is None else next(refusing) for gradient in found)


class _Once(torch.autograd.Function):  # type: ignore[misc]
    """Results of the tensors beside them, whose gradients nobody has."""

    @staticmethod
    def forward(ctx: Any, results: list[Tensor], *_: Tensor | None) -> tuple[Tensor, ...]:
        """Return the results."""
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *_: Tensor | None) -> NoReturn:
        """Refuse."""
        raise RuntimeError(TWICE)
