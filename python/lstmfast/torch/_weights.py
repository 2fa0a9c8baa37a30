"""Packed weights of a module's tensors, and whether they are still the weights that were packed.

A stale weight would be the worst of defects, and PyTorch's version counter does not see all changes: not
`p.data.mul_()`, nor a write through `p.numpy()`. So a network remembers the fingerprint of the weights that
it was packed from, and every call makes it anew from the tensors: one pass over the weights.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import _core
from .._base import parameters, runtime
from .._base.kinds import BY_CELL, CELLS_BY_MODE, KINDS, Kind
from ._arrays import array_of

# The core's names of cells, by PyTorch's modes of its modules.
CELLS = {mode: cell.name for mode, cell in CELLS_BY_MODE.items()}
# Whether their states are pairs, by the same.
MEMORY = {mode: BY_CELL[cell].has_memory for mode, cell in CELLS.items()}
# What kind a cell is of, variants too, which modules of PyTorch's have not.
_KINDS: dict[str, Kind] = {**BY_CELL}
_KINDS.update({cell: kind for kind in KINDS for cell in (kind.variant, kind.reset_before) if cell})


@dataclass(frozen=True)
class Spec:
    """What a network is, but for its weights."""

    cell: str  # as the core names it
    input_size: int
    hidden_size: int
    num_layers: int
    bidirectional: bool
    bias: bool
    proj_size: int
    variant: tuple[Any, ...] | None = None  # of a variant's cell, as the core takes it

    @cached_property
    def kind(self) -> Kind:
        """What kind the cell is of."""
        return _KINDS[self.cell]

    @cached_property
    def layout(self) -> parameters.Layout:
        """Names and shapes of the weights, in PyTorch's order."""
        return parameters.Layout(
            self.kind.gates,
            self.input_size,
            self.hidden_size,
            self.num_layers,
            self.bidirectional,
            self.bias,
            self.proj_size,
        )

    @cached_property
    def has_memory(self) -> bool:
        """Whether a state is a pair, h and c."""
        return self.kind.has_memory

    @cached_property
    def kept_gates(self) -> int:
        """How many numbers of a unit's gates a tape keeps for each row and step."""
        return self.kind.kept_gates

    # Of the layout, without the time that it takes to ask for them: a small layer's call would notice.

    @cached_property
    def depth(self) -> int:
        """L*D."""
        return self.num_layers * self.layout.directions

    @cached_property
    def directions(self) -> int:
        """D."""
        return self.layout.directions

    @cached_property
    def weights_of_pass(self) -> int:
        """How many weights a layer has for each direction."""
        return parameters.count_of_pass(self.bias, self.proj_size > 0)

    @cached_property
    def state_size(self) -> int:
        """S, the width of h."""
        return self.layout.output_size

    @cached_property
    def features(self) -> int:
        """D*S, the width of y."""
        return self.layout.features


def fingerprint_of(weights: Sequence[Tensor], threads: int) -> bytes:
    """Read CPU tensors once, of one dtype, and return what changes when their numbers do."""
    dense = [weight.detach().contiguous() for weight in weights]
    return _fingerprint(dense, [weight.numel() for weight in dense], threads)


def _fingerprint(dense: Sequence[Tensor], sizes: Sequence[int], threads: int) -> bytes:
    itemsize = dense[0].dtype.itemsize
    return _core.fingerprint(
        runtime.isa(),
        [weight.data_ptr() for weight in dense],
        [size * itemsize for size in sizes],
        threads,
    )


class Packed:
    """The network of some weights, packed anew when they have changed. Any threads may ask at once."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.shapes = tuple(shape for _, shape, _ in spec.layout.shapes())
        self._sizes = [math.prod(shape) for shape in self.shapes]
        # Fingerprint, dtype and network: one object, for threads.
        self._state: tuple[bytes, torch.dtype, Any] | None = None

    def fits(self, weights: Sequence[Tensor]) -> bool:
        """Whether the weights have the shapes of the spec."""
        return len(weights) == len(self.shapes) and all(
            weight.shape == shape for weight, shape in zip(weights, self.shapes, strict=True)
        )

    def network(self, weights: Sequence[Tensor], threads: int) -> Any:
        """Return the network of these weights as they are now: dense CPU tensors that fit, of one dtype."""
        dtype = weights[0].dtype
        dense = [weight if weight.is_contiguous() else weight.detach().contiguous() for weight in weights]
        # Before they are packed: if another thread writes meanwhile, the next call sees that and packs again.
        mark = _fingerprint(dense, self._sizes, threads)
        state = self._state
        if state is not None and state[0] == mark and state[1] is dtype:
            return state[2]
        spec = self.spec
        make = _core.Network32 if dtype is torch.float32 else _core.Network64
        network = make(
            spec.cell,
            spec.input_size,
            spec.hidden_size,
            spec.num_layers,
            spec.bidirectional,
            spec.bias,
            [np.require(array_of(weight), requirements="A") for weight in dense],
            runtime.isa(),
            spec.proj_size,
            threads,
            spec.variant,
        )
        self._state = (mark, dtype, network)
        return network


# Packed weights of calls that bring tensors and no module (operators' calls, in compiled graphs), by the
# address of the first weight and until its memory is gone. That may be another's by then, and the other
# weights may be others at each call: fingerprints tell.
_of_tensors: dict[tuple[Spec, int], Packed] = {}


def packed_of(spec: Spec, weights: Sequence[Tensor]) -> Packed:
    """Find what was packed for these tensors before, or make room for it."""
    key = (spec, weights[0].data_ptr())
    found = _of_tensors.get(key)
    if found is None:
        found = _of_tensors.setdefault(key, Packed(spec))
        weakref.finalize(weights[0].untyped_storage(), _of_tensors.pop, key, None).atexit = False
    return found
