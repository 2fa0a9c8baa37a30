"""What a call of a recurrent layer is given: checked, and as the compiled core takes it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike, NDArray

from . import checks, sequences
from .checks import READY, Array
from .layer import Layer
from .skipping import Skips

StateT = TypeVar("StateT")
StateLikeT = TypeVar("StateLikeT")  # what a call takes for one

# What messages call a state, its parts together, h and c.
Names: TypeAlias = tuple[str, tuple[str, str], str, str]
_STATE = ("state", ("h_0", "c_0"), "state: h_0", "state: c_0")
_RESET_TO = ("reset_to", ("h", "c"), "reset_to: h", "reset_to: c")


class CutState(NamedTuple):
    """What pieces of rows begin from at a cut, as the core takes it: zero where it has nothing."""

    h: Array | None = None  # [L*D, B, S] or [L*D, 1, S]
    c: Array | None = None  # likewise
    shared: bool = False  # whether it came as one for all rows

    @property
    def given(self) -> bool:
        """Whether there is anything."""
        return self.h is not None or self.c is not None


_NO_CUT = CutState()


class Arguments(Layer, Generic[StateT, StateLikeT]):
    """Base of every layer that can be called: what it makes of arguments."""

    @abstractmethod
    def _halves(self, state: object, name: str, parts: tuple[str, str]) -> tuple[object, object]:
        """Take a state, or what is shaped like one, apart into h and c (None for an RNN)."""

    def _take_cut(self, reset_to: StateLikeT | None, rows: int, batched: bool) -> CutState:
        """Check and convert a call's reset_to: a state, or one without the axis of rows, for all of them."""
        if reset_to is None:
            return _NO_CUT  # made once: most calls have none
        halves = self._halves(reset_to, _RESET_TO[0], _RESET_TO[1])
        shapes = (self._h_shape(rows, batched), self._c_shape(rows, batched))
        ones = (self._h_shape(rows, False), self._c_shape(rows, False))
        taken: list[Array | None] = []
        shared = False
        for half, in_rows, one, name in zip(halves, shapes, ones, _RESET_TO[2:], strict=True):
            if half is None:
                taken.append(None)
                continue
            array = checks.real_array(half, name)
            if array.ndim == 2:
                shared = True
                array = checks.exact(array, name, *one, self._dtype)[:, np.newaxis]
            else:
                array = checks.exact(array, name, *in_rows, self._dtype)
            taken.append(array)
        if shared and any(half is not None and half.shape[1] != 1 for half in taken):
            raise ValueError("reset_to: expected h and c both with an axis of rows, or both without one")
        return CutState(taken[0], taken[1], shared)

    def _take(
        self, x: ArrayLike, state: StateLikeT | None
    ) -> tuple[Array, Array | None, Array | None, int, bool]:
        """Check and convert a call's x and state: x, h_0 and c_0 for the core, B, whether x came batched."""
        # Most calls bring exactly what the core takes; a few comparisons tell.
        if (
            type(x) is ndarray
            and x.dtype is self._dtype
            and x.ndim == 3
            and x.shape[2] == self._layout.input_size
            and x.flags.num & READY == READY
            and x.size  # or it has no memory of its own that bounds its other sizes
        ):
            batched = True
        else:
            row_bytes = self._layout.features * self._dtype.itemsize
            x, batched = checks.sequence(
                x, self._layout.input_size, self._batch_first, self._dtype, row_bytes
            )
        rows = x.shape[0] if self._batch_first else x.shape[1]
        if state is None:
            return x, None, None, rows, batched
        h, c = self._split(state, _STATE, rows, batched)
        return x, h, c, rows, batched

    def _cut(
        self, lengths: object, reset: object, mask: object, x_shape: tuple[int, ...], batched: bool
    ) -> tuple[NDArray[np.int64] | None, NDArray[np.bool_] | None, Skips | None]:
        """Check and convert a call's lengths, reset and mask. x_shape is that of the core's x.

        Where steps are skipped, the first two are those of the taken ones.
        """
        if lengths is None and reset is None and mask is None:
            return None, None, None
        steps, rows = self._steps(x_shape), x_shape[0 if self._batch_first else 1]
        ends = None if lengths is None else sequences.ends(lengths, steps, rows, batched)
        starts = None if reset is None else sequences.starts(reset, steps, rows, batched, self._batch_first)
        taken = None if mask is None else sequences.taken(mask, steps, rows, batched, self._batch_first)
        if taken is None:
            return ends, starts, None
        skips = Skips(taken, ends, starts, self._batch_first, self._layout.ways)
        return skips.lengths, skips.reset, skips

    def _steps(self, x_shape: tuple[int, ...]) -> int:
        """T, from the shape of the core's x."""
        return x_shape[1 if self._batch_first else 0]

    def _take_out(
        self, out: object, x_shape: tuple[int, ...], rows: int, batched: bool
    ) -> tuple[Array, Array, Array | None]:
        """Check a call's `out`; return y, h_n and c_n as the core takes them."""
        y, state = checks.pair(out, "out", ("y", "state"))
        steps = x_shape[:2] if batched else (self._steps(x_shape),)
        y = checks.output(y, "out: y", (*steps, self._layout.features), self._y_axes(batched), self._dtype)
        h_part, c_part = self._halves(state, "out: state", ("h_n", "c_n"))
        h = checks.output(h_part, "out: h_n", *self._h_shape(rows, batched), self._dtype)
        c = None
        if self._KIND.has_memory:
            c = checks.output(c_part, "out: c_n", *self._c_shape(rows, batched), self._dtype)
        if not batched:
            y = y[np.newaxis] if self._batch_first else y[:, np.newaxis]
            h, c = h[:, np.newaxis], None if c is None else c[:, np.newaxis]
        return y, h, c

    def _split(
        self, state: StateLikeT, names: Names, rows: int, batched: bool
    ) -> tuple[Array | None, Array | None]:
        """Check a state, or its gradient, and turn it into the core's h and c."""
        h, c = self._halves(state, names[0], names[1])
        if h is not None:
            h = checks.exact(h, names[2], *self._h_shape(rows, batched), self._dtype)
            h = h if batched else h[:, np.newaxis]
        if c is not None:
            c = checks.exact(c, names[3], *self._c_shape(rows, batched), self._dtype)
            c = c if batched else c[:, np.newaxis]
        return h, c

    # Shapes, with what messages call them.

    def _h_shape(self, rows: int, batched: bool) -> tuple[tuple[int, ...], str]:
        width, symbol = self._layout.output_size, self._layout.output_symbol
        if batched:
            return (self._depth, rows, width), f"[L*D, B, {symbol}]"
        return (self._depth, width), f"[L*D, {symbol}]"

    def _c_shape(self, rows: int, batched: bool) -> tuple[tuple[int, ...], str]:
        if batched:
            return (self._depth, rows, self._layout.hidden_size), "[L*D, B, H]"
        return (self._depth, self._layout.hidden_size), "[L*D, H]"

    def _y_axes(self, batched: bool) -> str:
        features = f"D*{self._layout.output_symbol}"
        if not batched:
            return f"[T, {features}]"
        return f"[B, T, {features}]" if self._batch_first else f"[T, B, {features}]"
