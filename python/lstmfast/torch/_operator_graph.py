"""The operators on PyTorch's graph: which is called, and who goes back how.

`recurrent` is what those who trace call: it becomes `forward` where somebody will go back, and else `infer`,
when it runs and not before: an exported program keeps a tape only for who trains with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from . import _higher, _operator_fakes, _operators, _run  # noqa: F401, the fakes register
from ._operators import backward, forward, infer

# Where cut_h is among the arguments of both.
_FORWARD_BEGINS, _BACKWARD_BEGINS = 13, 19


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, h0, c0, weights, batch_sizes, masks, *ctx.rest, lengths, reset, ctx.recompute, cut_h, cut_c = inputs
    y, _, _, reserve = output
    ctx.mark_non_differentiable(reserve)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, h0, c0, y, reserve, batch_sizes, masks, lengths, reset, cut_h, cut_c, *weights)


def _go_back(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    x, h0, c0, y, reserve, batch_sizes, masks, lengths, reset, cut_h, cut_c, *weights = ctx.saved_tensors
    x_wanted, h0_wanted, c0_wanted, weights_wanted, *_ = ctx.needs_input_grad
    begins = len(_operators.begins_of(cut_h, cut_c, ctx.rest[1]))
    begins_wanted = _of_last(ctx, _FORWARD_BEGINS, begins)
    wanted = [x_wanted, h0_wanted, c0_wanted, *weights_wanted, *begins_wanted]
    given = (x, h0, c0, y.detach(), reserve, weights, batch_sizes, masks)
    cuts = (lengths, reset, ctx.recompute, cut_h, cut_c)
    dx, dh0, dc0, dweights = backward(*grads[:3], *given, *ctx.rest, wanted, *cuts)
    found = _where([dx, dh0, dc0, *dweights], wanted)
    of_begins = _pair(found[len(found) - begins :])
    return _as_many((*found[:3], found[3 : len(found) - begins], *(None,) * 9, *of_begins), ctx)


forward.register_autograd(_go_back, setup_context=_keep)


def _where(tensors: list[Any], wanted: Sequence[bool]) -> list[Any]:
    """Put None in place of what stands for nothing."""
    return [tensor if is_wanted else None for tensor, is_wanted in zip(tensors, wanted, strict=True)]


def _of_last(ctx: Any, begin: int, count: int) -> list[bool]:
    """Say of the last arguments whether their gradients are wanted: PyTorch has not passed all of them."""
    known = list(ctx.needs_input_grad[begin : begin + count])
    return known + [False] * (count - len(known))


def _pair(found: list[Any]) -> list[Any]:
    """Return the gradients of cut_h and cut_c, of which some are missing."""
    return found + [None] * (2 - len(found))


def _as_many(gradients: tuple[Any, ...], ctx: Any) -> tuple[Any, ...]:
    """Leave out those of last arguments that PyTorch has not passed, because they are their defaults."""
    return gradients[: len(ctx.needs_input_grad)]


def _keep_for_second(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    *grads, x, h0, c0, _, _, weights, batch_sizes, masks, ctx.scale = inputs[:12]
    *ctx.config, ctx.wanted, lengths, reset, _, cut_h, cut_c = inputs[12:]
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(batch_sizes, masks, lengths, reset, cut_h, cut_c, *grads, x, h0, c0, *weights)


def _go_back_through(ctx: Any, *second: Any) -> tuple[Any, ...]:
    batch_sizes, masks, lengths, reset, cut_h, cut_c, *given = ctx.saved_tensors
    grads, inputs = given[:3], given[3:]
    x, weights = inputs[0], inputs[3:]
    spec = _operators.spec_of(x, weights, *ctx.config)
    call = _operators.call_of(spec, x, batch_sizes, 0, lengths, reset, cut_h, cut_c)
    begins = _operators.begins_of(cut_h, cut_c, spec.cell)
    *needed, _, _, weights_needed = ctx.needs_input_grad[:9]
    begins_needed = _of_last(ctx, _BACKWARD_BEGINS, len(begins))
    back_of_others = second[3] or [None] * (len(weights) + len(begins))
    found = _higher.go_back(
        lambda *inputs: (*_higher.run(call, _run.Dropout(masks, ctx.scale), *inputs), None)[:3],
        grads,
        [*inputs, *begins],
        ctx.wanted,
        [*second[:3], *back_of_others],
        [*needed, *weights_needed, *begins_needed],
    )
    count = len(found) - len(begins)
    return _as_many((*found[:6], None, None, found[6:count], *(None,) * 10, *_pair(found[count:])), ctx)


backward.register_autograd(_go_back_through, setup_context=_keep_for_second)


@backward.register_vmap  # type: ignore[untyped-decorator]
def _(info: Any, in_dims: tuple[Any, ...], *arguments: Any) -> tuple[Any, ...]:
    """Go back once for each of many gradients at a time."""

    def one(n: int, argument: Any, dim: Any) -> Any:
        if isinstance(dim, (list, tuple)):
            return [one(n, each, its) for each, its in zip(argument, dim, strict=True)]
        return argument if dim is None else argument.select(dim, n)

    found = [
        backward(*(one(n, argument, dim) for argument, dim in zip(arguments, in_dims, strict=True)))
        for n in range(info.batch_size)
    ]
    *states, dweights = zip(*found, strict=True)
    stacked = [torch.stack(each) for each in zip(*dweights, strict=True)]
    return (*map(torch.stack, states), stacked), (0, 0, 0, [0] * len(stacked))


# What graphs call.


def recurrent(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: list[Tensor],
    batch_sizes: Tensor | None,
    masks: Tensor | None,
    mask_scale: float,
    cell: str,
    bias: bool,
    bidirectional: bool,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    recompute: bool = False,
    cut_h: Tensor | None = None,
    cut_c: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run forward: y, h_n, c_n, on the graph where it is recorded."""
    on_graph = torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in (x, h0, c0, *weights, cut_h, cut_c)
    )
    given, config = (x, h0, c0, weights, batch_sizes), (cell, bias, bidirectional, lengths, reset)
    if not on_graph and masks is None:
        found: tuple[Tensor, Tensor, Tensor] = infer(*given, *config, cut_h, cut_c)
        return found
    y, h_n, c_n, _ = forward(*given, masks, mask_scale, *config, recompute, cut_h, cut_c)
    return y, h_n, c_n


torch.library.define("lstmfast::recurrent", torch.library.infer_schema(recurrent, mutates_args=()))
torch.library.impl("lstmfast::recurrent", "CompositeImplicitAutograd")(recurrent)
