"""Rows that are cut by `lengths` and `reset`, by PyTorch's operators: each piece a row of a packed sequence.

For calls that the core does not take, and for gradients of gradients. A piece is a sequence of its own
through all layers and in both directions, so all of them run at once, whatever row they are of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from . import _cuts, _paths, _run, _steps
from ._reading import weights_of
from ._weights import MEMORY

_Ints: TypeAlias = NDArray[np.int64]


class Pieces:
    """How a batch of T steps and B rows is cut, and put together again. Its tensors are on one device."""

    def __init__(
        self,
        steps: int,
        rows: int,
        lengths: _Ints | None,  # [B], 0 to T
        reset: NDArray[np.bool_] | None,  # [T, B]
        device: torch.device,
    ) -> None:
        self.steps, self.rows = steps, rows
        ends = np.full(rows, steps) if lengths is None else lengths
        begins = np.zeros((rows, steps), np.bool_) if reset is None else reset.T.copy()
        marked = begins[:, 0].copy()  # a mark at the first step: the initial state is for nobody
        begins[:, 0] = True
        begins &= np.arange(steps) < ends[:, np.newaxis]
        row, begin = begins.nonzero()  # row by row, in the order of time
        is_first = np.diff(row, prepend=-1) != 0
        is_last = np.diff(row, append=-1) != 0
        length = np.where(is_last, ends[row], np.roll(begin, -1)) - begin
        order = np.argsort(-length, kind="stable")
        place = np.argsort(order)  # where each piece is after sorting

        def tensor(array: NDArray[Any]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        def of_rows(chosen: NDArray[np.bool_]) -> Tensor:
            """For each row, the place of its piece that is chosen; 0 where it has none."""
            found = np.zeros(rows, np.int64)
            found[row[chosen]] = place[chosen]
            return tensor(found)

        self.count = len(row)
        # [steps of the longest, pieces], the longest first
        running = length[order] > np.arange(length.max(initial=0))[:, np.newaxis]
        self.batch_sizes = torch.from_numpy(running.sum(axis=1))  # on the CPU, wherever the data is
        step, piece = running.nonzero()
        self._places = tensor((begin[order][piece] + step) * rows + row[order][piece])  # [N], of [T*B]
        self._row = tensor(row[order])
        self._has_steps = tensor(ends > 0)[:, None]
        # By direction: which pieces begin from their row's initial state, and which end in its last.
        self._takes_initial = [tensor(a[order])[:, None] for a in (is_first & ~marked[row], is_last)]
        self._gives_last = [of_rows(is_last), of_rows(is_first)]

    def pack(self, sequence: Tensor) -> Tensor:
        """[T, B, ...] as the data of a packed sequence, [N, ...]."""
        return sequence.flatten(0, 1).index_select(0, self._places)

    def unpack(self, data: Tensor) -> Tensor:
        """[N, ...] as [T, B, ...], zero past the ends of rows."""
        zeros = data.new_zeros((self.steps * self.rows, *data.shape[1:]))
        return zeros.index_copy(0, self._places, data).unflatten(0, (self.steps, self.rows))

    def all_initial(
        self, states: Sequence[Tensor], directions: int, begins: Sequence[Tensor | None]
    ) -> list[Tensor]:
        """Do it for h and, of an LSTM, c. begins: as `_cuts.begins` has it."""
        given = begins or [None] * len(states)
        return [self.initial(*each, directions) for each in zip(states, given, strict=True)]

    def initial(self, state: Tensor, begin: Tensor | None, directions: int) -> Tensor:
        """Rows' initial state [L*D, B, ...] as that of the pieces; those at a cut begin from `begin`.

        That is [L*D, B, ...], [L*D, 1, ...] for all rows, or None for zero.
        """
        zero = state.new_zeros(())
        parts = []
        for d in range(directions):
            at_cut = zero if begin is None else begin[d::directions]
            if at_cut.dim() and at_cut.shape[1] == self.rows:
                at_cut = at_cut.index_select(1, self._row)
            initial = state[d::directions].index_select(1, self._row)
            parts.append(torch.where(self._takes_initial[d], initial, at_cut.to(state.dtype)))
        return torch.stack(parts, 1).flatten(0, 1)

    def last(self, state: Tensor, initial: Tensor, directions: int) -> Tensor:
        """Pieces' last state as that of the rows, [L*D, B, ...]; one without steps keeps its initial one."""
        parts = [state[d::directions].index_select(1, self._gives_last[d]) for d in range(directions)]
        return torch.where(self._has_steps, torch.stack(parts, 1).flatten(0, 1), initial)


def nothing_of(*tensors: Tensor) -> Tensor:
    """Zero, that depends on tensors as far as the graph is concerned, and on none of their numbers."""
    return torch.stack([tensor.flatten()[:0].sum() for tensor in tensors]).sum()


def forward(
    module: Any, input: Any, hx: Any, lengths: Any, reset: Any, reset_to: Any, run: Callable[..., Any]
) -> Any:
    """Run all steps of a module by `run`, PyTorch's forward for it. Raises as `LSTM.forward` says."""
    if _paths.is_recorded():
        name, _ = _cuts.first_given(lengths, reset, reset_to)
        raise RuntimeError(
            f"{name}: expected None while torch.onnx.export or torch.jit.trace is at work, for it would be"
            " recorded as it is now, and hold for every later call; torch.export takes it"
        )
    _cuts.refuse_beside_packed(input, lengths, reset, reset_to)
    if not isinstance(input, Tensor) or input.dim() not in (2, 3):
        return run(input, hx)  # which says what is wrong
    batched = input.dim() == 3
    x = input if batched else input.unsqueeze(0 if module.batch_first else 1)
    steps, rows = (x.shape[1], x.shape[0]) if module.batch_first else x.shape[:2]
    states = _states(module, hx, x, rows, batched)
    module.check_forward_args(x, _joined(module, states), None)
    layout = _run.UNBATCHED if not batched else _run.BATCH_FIRST if module.batch_first else _run.TIME_MAJOR
    call = _cuts.cut(_run.Call(_NO_SPEC, layout, steps, rows), lengths, reset)
    begins = _cuts.begins(module, reset_to, x, rows, batched)
    if x.numel() == 0:
        return run(input, hx)
    x = x.transpose(0, 1) if module.batch_first else x
    pieces = Pieces(steps, rows, call.lengths, call.reset, x.device)
    y, *ends = _run_pieces(module, pieces, x, states, begins, run)
    if not batched:
        y, ends = y.squeeze(1), [state.squeeze(1) for state in ends]
    elif module.batch_first:
        y = y.transpose(0, 1)
    return y, _joined(module, ends)


_NO_SPEC: Any = None  # of a call that the core does not see


def _run_pieces(
    module: Any,
    pieces: Pieces,
    x: Tensor,
    states: list[Tensor],
    begins: Sequence[Tensor | None],
    run: Callable[..., Any],
) -> list[Tensor]:
    """y, h_n and, of an LSTM, c_n."""
    directions = 2 if module.bidirectional else 1
    if pieces.count == 0:
        nothing = nothing_of(x, *weights_of(module), *(begin for begin in begins if begin is not None))
        y = x.new_zeros((*x.shape[:2], directions * states[0].shape[-1]))
        return [part + nothing for part in (y, *states)]
    begin, data = pieces.all_initial(states, directions, begins), pieces.pack(x)
    if _paths.is_transformed():
        y, *ends = _steps.run(module, data, pieces.batch_sizes.tolist(), begin)
    else:
        output, end = run(PackedSequence(data, pieces.batch_sizes), _joined(module, begin))
        y, ends = output.data, list(end) if MEMORY[module.mode] else [end]
    last = [
        pieces.last(state, first.to(state.dtype), directions)
        for state, first in zip(ends, states, strict=True)
    ]
    return [pieces.unpack(y), *last]


def _joined(module: Any, states: list[Tensor]) -> Any:
    return tuple(states) if MEMORY[module.mode] else states[0]


def _states(module: Any, hx: Any, x: Tensor, rows: int, batched: bool) -> list[Tensor]:
    """Return a call's initial state with rows, zero where there is none. Errors are PyTorch's."""
    if hx is None:
        depth = module.num_layers * (2 if module.bidirectional else 1)
        widths = [module.proj_size or module.hidden_size, module.hidden_size]
        return [x.new_zeros((depth, rows, width)) for width in widths[: 2 if MEMORY[module.mode] else 1]]
    states = list(hx) if MEMORY[module.mode] else [hx]
    axes = 3 if batched else 2
    if any(state.dim() != axes for state in states):
        kind = "batched 3-D" if batched else "unbatched 2-D"
        names = "hx and cx" if len(states) == 2 else "hx"
        sizes = ", ".join(f"{state.dim()}-D" for state in states)
        raise RuntimeError(f"For {kind} input, {names} should also be {axes}-D but got ({sizes}) tensors")
    return states if batched else [state.unsqueeze(1) for state in states]
