"""The weights of many single steps as one node of the graph, after all of them.

What steps leave with it are rows of one step of the core, from the last step to the first: of these the core
sums up the gradients in the order in which it would of a whole sequence, so they have that sequence's bits.
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Iterator, Sequence
from itertools import groupby
from threading import get_ident
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from . import _cell_run, _many, _paths, _reserve, _run
from ._autograd import Gradient
from ._own import Own, marks_of

_Maybe: TypeAlias = Tensor | None


class Step(NamedTuple):
    """A step on its way back: what forward had, kept and gave."""

    network: Any
    sizes: _cell_run.Sizes
    weights: Sequence[Tensor]
    x: Tensor
    h: _Maybe
    c: _Maybe
    kept: Tensor
    dh: _Maybe  # gradients of what it gave
    dc: _Maybe


def as_call(step: Step) -> tuple[Any, ...]:
    """Lay a step out for `Gradient`, as that of a whole layer: all of its arguments from x on."""
    sizes = step.sizes
    rows = sizes.rows

    def laid(tensor: _Maybe) -> _Maybe:
        return None if tensor is None else tensor.reshape(1, rows, -1)

    x = laid(step.x)
    tape, y = sizes.parts_of(_cell_run.aligned(step.kept))
    outputs = [None, laid(step.dh), laid(step.dc)][: 3 if sizes.has_memory else 2]
    return x.detach(), laid(y), tape, *outputs, x, laid(step.h), laid(step.c), *step.weights  # type: ignore[union-attr]


class Shared:
    """Weights that steps have in common, as long as these are on a graph."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        # By the backward pass that they belong to: several may go through the same graph.
        self._left: dict[int, list[Step]] = {}
        self.token: Tensor = Weights.apply(self._left, *weights)
        self._node = self.token.grad_fn

    def are_wanted(self) -> bool:
        """Whether the backward pass that is at work comes to the weights."""
        wanted: bool = _paths.will_run(self._node)
        return wanted

    def add(self, step: Step) -> None:
        """Leave a step for the weights' gradients."""
        self._left.setdefault(_paths.backward_pass(), []).append(step)


class Seen:
    """Weights that the core can take, and what shows that they are still the same tensors.

    Each thread has its own: two that make the node of a graph at once would have a loop's steps lead to both,
    and sum up in another order.
    """

    def __init__(self, weights: list[Tensor]) -> None:
        self.weights = weights
        self._state = _state_of(weights)
        self.are_wanted = any(weight.requires_grad for weight in weights)
        self._shared: weakref.ref[Shared] | None = None

    def are(self, weights: list[Tensor]) -> bool:
        """Whether they are these very tensors, unchanged as far as PyTorch knows."""
        mine = self.weights
        return (
            len(mine) == len(weights)
            and all(map(operator.is_, mine, weights))
            and self._state == _state_of(weights)
        )

    def shared(self) -> Shared:
        """Find the node of the graph that they are, or make it: it lives as long as steps lead to it."""
        found = None if self._shared is None else self._shared()
        if found is None:
            found = Shared(self.weights)
            self._shared = weakref.ref(found)
        return found


def _state_of(weights: Sequence[Tensor]) -> tuple[Any, ...]:
    return marks_of(weights), [(weight.shape, weight.requires_grad) for weight in weights]


# Of which what is known is remembered.
_MOST_THREADS = 16


def seen(own: Own, weights: list[Tensor]) -> Seen | str:
    """Return what is known of a module's weights, or why the core cannot take them."""
    thread = get_ident()
    found: Seen | None = own.seen.get(thread)
    if found is not None and found.are(weights):
        return found
    own.seen.pop(thread, None)
    if reason := _paths.refusal_of_weights(weights, own.packed.shapes):
        return reason
    found = Seen(weights)
    if all(weight.is_leaf for weight in weights):  # others would keep a graph alive
        if len(own.seen) >= _MOST_THREADS:
            own.seen.clear()
        own.seen[thread] = found
    return found


class Weights(torch.autograd.Function):  # type: ignore[misc]
    """The weights, as a token without numbers: what steps depend on in their place."""

    @staticmethod
    def forward(ctx: Any, left: dict[int, list[Step]], *weights: Tensor) -> Tensor:
        """Make the token. left: where steps leave what gradients are made of."""
        ctx.set_materialize_grads(False)
        ctx.left = left
        return weights[0].new_empty(0)

    @staticmethod
    def backward(ctx: Any, _: _Maybe) -> tuple[_Maybe, ...]:
        """Make the gradients, of what all steps of this backward pass have left."""
        wanted = ctx.needs_input_grad[1:]
        steps = ctx.left.pop(_paths.backward_pass(), [])
        total: list[_Maybe] = [None] * len(wanted)
        # Weights that were changed behind PyTorch's back have another network.
        for _, some in groupby(steps, key=lambda step: id(step.network)):
            for group in _groups(list(some)):
                for n, gradient in enumerate(_gradients(group, wanted)):
                    before = total[n]
                    total[n] = gradient if before is None or gradient is None else before + gradient
        return None, *total


# Rows that the core sums up in one chain: groups of them may be added here as well.
_ROWS = 128
# Of what steps have kept: so much stays in a core's caches.
_BYTES = 4 * 2**20


def _groups(steps: list[Step]) -> Iterator[list[Step]]:
    """Cut steps into groups that stay in the caches, of the core's rows, if these end where steps do."""
    rows = steps[0].sizes.rows
    if (
        _ROWS % rows
        or any(step.sizes.rows != rows for step in steps)
        or steps[0].kept.nbytes * len(steps) <= _BYTES
    ):
        yield steps
        return
    count = _ROWS // rows
    for begin in range(0, len(steps), count):
        yield steps[begin : begin + count]


def _gradients(steps: Sequence[Step], wanted: Sequence[bool]) -> list[_Maybe]:
    """Make the gradients of the weights of steps of one network."""

    def of(*grads: _Maybe) -> list[_Maybe]:
        step = _joined(steps, grads[: len(steps)], grads[len(steps) :])
        needed, arguments = (False, False, False, *wanted), as_call(step)
        if torch.is_grad_enabled():
            found = iter(Gradient.apply(step.network, step.sizes.call, _run.KEEP_ALL, needed, *arguments))
            return [next(found) if is_wanted else None for is_wanted in wanted]
        x, y, tape, *given = arguments
        outputs = given[: 3 if step.sizes.has_memory else 2]
        return list(_run.gradients(step.network, step.sizes.call, outputs, x, y, tape, needed)[3:])

    return _many.all_of(of, [*(step.dh for step in steps), *(step.dc for step in steps)])


def _joined(steps: Sequence[Step], dhs: Sequence[_Maybe], dcs: Sequence[_Maybe]) -> Step:
    """Make one step of many, which has the rows of each one after the other."""
    first, sizes = steps[0], steps[0].sizes
    spec = sizes.spec
    rows = [step.sizes.rows for step in steps]

    def joined(parts: Sequence[_Maybe], width: int) -> _Maybe:
        """Zero where there is none, but None if there is none at all."""
        if all(part is None for part in parts):
            return None
        given = [
            first.kept.new_zeros((n, width)) if part is None else part.reshape(n, width)
            for part, n in zip(parts, rows, strict=True)
        ]
        return torch.cat(given)

    if len(steps) > 1:
        lead = (sum(rows),)
        sizes = _cell_run.Sizes(spec, lead[0], lead, lead, sizes.threads, sizes.dtype)
    return first._replace(
        sizes=sizes,
        x=joined([step.x for step in steps], spec.input_size),
        h=joined([step.h for step in steps], spec.hidden_size),
        c=joined([step.c for step in steps], spec.hidden_size),
        kept=_joined_kept([step.kept for step in steps], rows, sizes),
        dh=joined(dhs, spec.hidden_size),
        dc=joined(dcs, spec.hidden_size),
    )


def _joined_kept(blocks: Sequence[Tensor], rows: Sequence[int], together: _cell_run.Sizes) -> Tensor:
    """Make one block of those that steps have kept, whose rows it has one after the other."""
    if len(blocks) == 1:
        return blocks[0]
    dtype, each = together.dtype, blocks[0].numel()
    joined = torch.from_numpy(_run.kept_array(dtype, together.kept.numel()))
    even = None
    if min(rows) == max(rows):
        even = torch.from_numpy(_run.kept_array(dtype, len(rows) * each)).view(len(rows), each)
        torch.stack(list(blocks), out=even)
    for width, begin, *begins in _reserve.parts_of_steps(
        together.spec, joined.itemsize, [together.rows, *rows]
    ):
        to = joined[begin : begin + width * together.rows]
        if even is not None:  # all at once: slices of each take longer than the copy
            to.view(len(rows), -1).copy_(even[:, begins[0] : begins[0] + width * rows[0]])
        else:
            pieces = [block[at : at + width * n] for block, at, n in zip(blocks, begins, rows, strict=True)]
            torch.cat(pieces, out=to)
    return joined
