"""Many gradients at once, as PyTorch's two kinds of vmap bring them: gone back through one by one.

One is torch.func's; the other is older, and `is_grads_batched=True` has it still.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

_Maybe: TypeAlias = Tensor | None
_Back: TypeAlias = Callable[..., Sequence[_Maybe]]
_functorch = torch._C._functorch


def is_many(gradient: _Maybe) -> bool:
    """Whether it stands for many: it has no memory of its own then."""
    try:
        return gradient is not None and gradient.data_ptr() < 0
    except RuntimeError:
        return True


def dense(gradient: _Maybe) -> _Maybe:
    """Return a gradient that has memory, itself if it has, or if it stands for many."""
    if gradient is None or gradient.layout is torch.strided:
        return gradient.resolve_neg() if gradient is not None and gradient.is_neg() else gradient
    return gradient.to_dense()


def all_of(go_back: _Back, grads: Sequence[_Maybe]) -> list[_Maybe]:
    """Call `go_back` once, or with each of many gradients."""
    return each(go_back, grads) if any(map(is_many, grads)) else list(go_back(*grads))


def each(go_back: _Back, grads: Sequence[_Maybe]) -> list[_Maybe]:
    """Call `go_back` with each of many gradients, and return what stands for all of its results."""
    if any(gradient is not None and _functorch.is_batchedtensor(gradient) for gradient in grads):
        return _each_of_func(go_back, grads)
    level = torch._C._vmapmode_increment_nesting() - 1  # to hear it, and no further
    torch._C._vmapmode_decrement_nesting()
    many = [is_many(gradient) for gradient in grads]
    below = [
        torch._remove_batch_dim(gradient, level, 1, 0) if is_batched else gradient
        for gradient, is_batched in zip(grads, many, strict=True)
    ]
    found = _each_below(go_back, below, many)
    return [None if tensor is None else torch._add_batch_dim(tensor, 0, level) for tensor in found]


def _each_of_func(go_back: _Back, grads: Sequence[_Maybe]) -> list[_Maybe]:
    from torch._functorch.pyfunctorch import temporarily_pop_interpreter_stack

    level = _functorch.peek_interpreter_stack().level()
    many: list[bool] = []
    below: list[tuple[_Maybe, int]] = []  # what the many are made of, and the axis that tells them apart
    for gradient in grads:
        many.append(gradient is not None and _functorch.maybe_get_level(gradient) == level)
        if many[-1]:
            below.append((_functorch.get_unwrapped(gradient), _functorch.maybe_get_bdim(gradient)))
        else:
            below.append((gradient, 0))
    with temporarily_pop_interpreter_stack():
        found = _each_below(go_back, [_first(*each) for each in below], many)
    return [None if tensor is None else _functorch._add_batch_dim(tensor, 0, level) for tensor in found]


def _each_below(go_back: _Back, grads: Sequence[_Maybe], many: Sequence[bool]) -> list[_Maybe]:
    """Do it for tensors of memory, of which many have one more axis, the first."""
    (size,) = {len(gradient) for gradient, is_batched in zip(grads, many, strict=True) if is_batched}  # type: ignore[arg-type]
    found = []
    for n in range(size):
        one = [
            gradient[n] if gradient is not None and is_batched else gradient
            for gradient, is_batched in zip(grads, many, strict=True)
        ]
        found.append(go_back(*one))
    return [
        None if parts[0] is None else torch.stack([part for part in parts if part is not None])
        for parts in zip(*found, strict=True)
    ]


def _first(tensor: _Maybe, axis: int) -> _Maybe:
    return None if tensor is None else tensor.movedim(axis, 0)
