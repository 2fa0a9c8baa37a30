"""One call of the compiled core, from tensors to tensors: memory and layouts, no autograd and no dispatcher.

x is [T, B, I], [B, T, I], [T, I], or [N, I] of a packed sequence, with its layout said beside it. States are
[L*D, B, S] and [L*D, B, H], without B where x is unbatched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import _core
from ._arrays import AnyArray, array_of, dense
from ._weights import Spec

TIME_MAJOR, BATCH_FIRST, UNBATCHED = "time major", "batch first", "unbatched"


class Call(NamedTuple):
    """A call's spec and sizes, all that is not a tensor."""

    spec: Spec
    layout: str  # TIME_MAJOR, BATCH_FIRST or UNBATCHED; packed sequences are TIME_MAJOR
    steps: int  # T
    rows: int  # B
    lengths: NDArray[np.int64] | None = None  # [B]; of a packed sequence, the longest first
    threads: int = 0
    packed: bool = False  # whether x is [N, I]; not so where all rows have one length, which is [T, B, I]
    reset: NDArray[np.bool_] | None = None  # [T, B] whatever the layout, C order
    recompute: bool = False  # whether the tape has no gates
    cut_rows: int = 0  # of what pieces begin from at a cut: B, 1 for all, or 0 where it is zero

    def sequence(self, tensor: Tensor) -> AnyArray:
        """See a tensor laid out as x as the core wants it: [T, B, ...], or [N, ...] of a packed sequence."""
        array = array_of(tensor)
        if array.strides[-1] != array.itemsize or not array.flags.aligned:
            array = dense(array)
        if self.packed:
            return dense(array)
        if self.layout == UNBATCHED:
            return array[:, np.newaxis]
        if array.ndim == 2:  # of a packed sequence whose rows all have one length
            return array.reshape(self.steps, self.rows, -1)
        return array.transpose(1, 0, 2) if self.layout == BATCH_FIRST else array

    def state(self, tensor: Tensor | None) -> AnyArray | None:
        """See h or c as the core wants it, [L*D, B, ...]."""
        if tensor is None:
            return None
        array = dense(array_of(tensor))
        return array[:, np.newaxis] if self.layout == UNBATCHED else array

    def batch_sizes(self) -> Tensor | None:
        """Say how many rows take part in each step, [T], of a packed sequence whose rows differ in length."""
        if not self.packed or self.lengths is None:
            return None
        taken = self.lengths > np.arange(self.steps)[:, np.newaxis]
        return torch.from_numpy(taken.sum(axis=1))

    @property
    def begins(self) -> int:
        """How many tensors say what pieces begin from at a cut: h and, of an LSTM, c; 0 where none does."""
        return 0 if self.cut_rows == 0 else 2 if self.spec.has_memory else 1

    @property
    def is_cut(self) -> bool:
        """Whether rows end or begin anew where only this call says."""
        return self.reset is not None or (self.lengths is not None and not self.packed)

    def results(self, x: Tensor, y: AnyArray, h_n: AnyArray, c_n: AnyArray | None) -> tuple[Tensor, ...]:
        """Lay what the core gave out as PyTorch does: y, h_n and, of an LSTM, c_n.

        Batch first, y's memory is time major nevertheless, as it is in PyTorch.
        """
        if self.layout == BATCH_FIRST:
            y = y.transpose(1, 0, 2)
        elif x.dim() == 2:
            y = y.reshape(x.shape[0], -1)
        states = (h_n,) if c_n is None else (h_n, c_n)
        return torch.from_numpy(y), *map(self.state_tensor, states)

    def gradient(self, x: Tensor, dx: AnyArray) -> Tensor:
        """Lay the gradient of x out as x is."""
        if self.layout == BATCH_FIRST:
            dx = dx.transpose(1, 0, 2)
        return torch.from_numpy(dx.reshape(x.shape))

    def state_tensor(self, array: AnyArray) -> Tensor:
        """Lay h or c, or a gradient of theirs, out as PyTorch does."""
        return torch.from_numpy(array[:, 0] if self.layout == UNBATCHED else array)


def infer(
    network: Any,
    call: Call,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    begins: Sequence[Tensor | None] = (),  # as `_cuts.begins` has it
) -> tuple[Tensor, ...]:
    """Run forward and keep nothing: y, h_n and, of an LSTM, c_n."""
    found = network.infer(
        call.sequence(x),
        call.state(h0),
        call.state(c0),
        False,
        None,
        None,
        None,
        call.lengths,
        call.reset,
        call.threads,
        *(map(_dense_or_none, begins) if begins else ()),
    )
    return call.results(x, *found)


@dataclass(frozen=True)
class Dropout:
    """Which outputs between layers are kept, [L-1, ...] shaped like y in time-major layout; None is all."""

    masks: Tensor | None = None
    scale: float = 0.0

    def factors(self, gap: int, y: Tensor) -> Tensor:
        """Return what outputs y before a layer, in time-major layout, are multiplied with. Needs masks."""
        masks: Tensor = self.masks
        return masks[gap].reshape(y.shape).to(y.dtype) * self.scale

    def array(self, call: Call) -> AnyArray | None:
        """See the masks as the core wants them: [L-1, T, B, D*S], or [L-1, N, D*S] of a packed sequence."""
        if self.masks is None:
            return None
        array = dense(array_of(self.masks))
        if call.packed:
            return array
        return array.reshape(len(array), call.steps, call.rows, -1)


KEEP_ALL = Dropout()


def draw_dropout(p: float, layers: int, shape: tuple[int, ...], dtype: torch.dtype) -> Dropout:
    """Draw the masks of so many layers' outputs, each of `shape`, as PyTorch's dropout draws them.

    With its generator, in its order: a seed means the same as in PyTorch's own LSTM.
    """
    if p == 1:
        return Dropout(torch.zeros((layers, *shape), dtype=torch.bool, device="cpu"), 0.0)
    drawn = [torch.empty(shape, dtype=dtype, device="cpu").bernoulli_(1 - p) for _ in range(layers)]
    return Dropout(torch.stack(drawn).to(torch.bool), 1 / (1 - p))


def forward(
    network: Any,
    call: Call,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    dropout: Dropout = KEEP_ALL,
    clear: bool = False,
    begins: Sequence[Tensor | None] = (),
) -> tuple[tuple[Tensor, ...], Tensor]:
    """Run forward: the results as `infer` gives them, and what backward needs as one tensor.

    clear: whether that is zero past the ends of rows, and not whatever its memory held before.
    """
    masks = dropout.array(call)
    places = x.shape[0] if call.packed else call.steps * call.rows
    size = network.tape_size(places, call.rows, call.recompute, masks is not None, call.cut_rows)
    kept = kept_array(x.dtype, size)
    if clear and call.is_cut:
        kept[...] = 0
    more = dict(zip(("cut_h", "cut_c"), map(_dense_or_none, begins), strict=False)) if begins else _NOTHING
    *found, _ = network.forward(
        call.sequence(x),
        call.state(h0),
        call.state(c0),
        False,
        lengths=call.lengths,
        reset=call.reset,
        recompute=call.recompute,
        masks=masks,
        mask_scale=dropout.scale,
        memory=kept,
        threads=call.threads,
        **more,
    )
    return call.results(x, *found), torch.from_numpy(kept)


def gradients(
    network: Any,
    call: Call,
    grads: Sequence[Tensor | None],  # of y, h_n and, of an LSTM, c_n; None is zero
    x: Tensor,
    y: Tensor,
    reserve: Tensor,
    needed: Sequence[bool],  # of x, h_0, c_0, each weight and, with cut_rows, what pieces begin from
    dropout: Dropout = KEEP_ALL,
) -> tuple[Tensor | None, ...]:
    """Go back: the gradients of all that `needed` names, None where one is not needed."""
    make_tape = _core.Tape32 if x.dtype is torch.float32 else _core.Tape64
    tape = make_tape(
        network,
        call.sequence(x),
        dense(call.sequence(y)),
        _aligned(reserve),
        False,
        lengths=call.lengths,
        reset=call.reset,
        recompute=call.recompute,
        masks=dropout.array(call),
        mask_scale=dropout.scale,
        cut_rows=call.cut_rows,
    )
    dy, dh_n, *dc_n = grads
    of_x, of_h0, of_c0, *of_weights = needed
    of_begins: list[bool] = []
    if call.cut_rows:
        count = len(of_weights) - call.begins
        of_weights, of_begins = of_weights[:count], of_weights[count:]
    dx, dh0, dc0, dweights, *dbegins = network.backward(
        tape,
        None if dy is None else call.sequence(dy),
        call.state(dh_n),
        call.state(dc_n[0]) if dc_n else None,
        [of_x, of_h0 or of_c0, *of_weights],
        call.threads,
        wants_cut=any(of_begins),
    )
    found = (
        None if dx is None else call.gradient(x, dx),
        call.state_tensor(dh0) if of_h0 else None,
        call.state_tensor(dc0) if of_c0 and dc0 is not None else None,  # an RNN has no c
        *(None if dw is None else torch.from_numpy(dw) for dw in dweights),
    )
    if not of_begins:
        return found
    # Nothing came of a core that was not asked.
    wanted = [_of_begin(dbegins[n], call) if is_needed else None for n, is_needed in enumerate(of_begins)]
    return (*found, *wanted)


_NOTHING: dict[str, Any] = {}


def _of_begin(gradient: AnyArray, call: Call) -> Tensor:
    """Return the gradient of what pieces begin from; of what is one for all rows, their sum."""
    return torch.from_numpy(gradient.sum(axis=1, keepdims=True) if call.cut_rows == 1 else gradient)


def _dense_or_none(tensor: Tensor | None) -> AnyArray | None:
    return None if tensor is None else dense(array_of(tensor))


def reached(call: Call, grads: Sequence[Tensor | None], needed: Sequence[bool]) -> Sequence[bool]:
    """Leave out what no output that has a gradient depends on: as PyTorch, which gives None and not zeros.

    After one step c_n comes before the last layer's projection: gradients of c_n alone do not meet it.
    """
    spec = call.spec
    if not spec.proj_size or call.steps > 1 or any(gradient is not None for gradient in grads[:2]):
        return needed
    left_out = [len(needed) - 1 - call.begins - spec.weights_of_pass * n for n in range(spec.directions)]
    return [is_needed and n not in left_out for n, is_needed in enumerate(needed)]


def _aligned(reserve: Tensor) -> AnyArray:
    """See what forward kept as the core wants it: a hook on saved tensors may have moved it."""
    array = array_of(reserve)
    if reserve.data_ptr() % 64 == 0 and reserve.is_contiguous():
        return array
    copy = kept_array(reserve.dtype, array.size)
    copy[...] = array
    return copy


def kept_array(dtype: torch.dtype, size: int) -> AnyArray:
    """Make memory for a tape."""
    return _core.kept_array32(size) if dtype is torch.float32 else _core.kept_array64(size)


def call_of(
    spec: Spec, x: Tensor, batch_sizes: Tensor | None, threads: int, layout: str = TIME_MAJOR
) -> Call:
    """Read a call's sizes off its tensors. batch_sizes: of a packed sequence, as `lengths_of` takes it."""
    if batch_sizes is None:
        if layout == UNBATCHED:
            return Call(spec, layout, x.shape[0], 1, None, threads)
        steps, rows = x.shape[:2] if layout == TIME_MAJOR else (x.shape[1], x.shape[0])
        return Call(spec, layout, steps, rows, None, threads)
    sizes = batch_sizes.numpy()
    steps, rows = len(sizes), int(sizes[0])
    # Rows that all have all steps need no lengths: [N, I] is [T, B, I].
    lengths = None if sizes[-1] == rows else lengths_of(sizes)
    return Call(spec, layout, steps, rows, lengths, threads, lengths is not None)


def lengths_of(batch_sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find each row's length, the longest first, from how many rows take part in each step."""
    rows = np.arange(batch_sizes[0])
    return len(batch_sizes) - np.searchsorted(batch_sizes[::-1], rows, side="right")
