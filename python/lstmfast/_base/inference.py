"""Calls of a recurrent layer for inference: from the user's arrays to the compiled core, and back."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from .. import _core
from . import checks
from .arguments import Arguments, StateLikeT, StateT
from .checks import Array


class Inference(Arguments[StateT, StateLikeT]):
    """Base of every layer that can be called: all kinds, whatever their weights."""

    @abstractmethod
    def _join(self, h: Array, c: Array, batched: bool) -> StateT:
        """Turn the core's h and c (None for an RNN) into a state."""

    @overload
    def __call__(
        self,
        x: ArrayLike,
        state: StateLikeT | None = None,
        *,
        lengths: ArrayLike | None = None,
        reset: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        reset_to: StateLikeT | None = None,
        return_c: Literal[False] = False,
        out: tuple[Array, StateT] | None = None,
    ) -> tuple[Array, StateT]: ...
    @overload
    def __call__(
        self,
        x: ArrayLike,
        state: StateLikeT | None = None,
        *,
        lengths: ArrayLike | None = None,
        reset: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        reset_to: StateLikeT | None = None,
        return_c: Literal[True],
        out: None = None,
    ) -> tuple[Array, StateT, Array]: ...
    @_core.fast_call  # the usual arguments skip this function; it does the rest, and all messages
    def __call__(
        self,
        x: ArrayLike,
        state: StateLikeT | None = None,
        *,
        lengths: ArrayLike | None = None,
        reset: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        reset_to: StateLikeT | None = None,
        return_c: bool = False,
        out: tuple[Array, StateT] | None = None,
    ) -> tuple[Array, StateT] | tuple[Array, StateT, Array]:
        """Run all steps and keep nothing (inference). See the class for shapes and errors.

        Parameters
        ----------
        x, state, lengths, reset, mask, reset_to
            See the class. Dropout plays no part here.
        return_c
            Of an LSTM: return c of every step as well. Not together with `out`.
        out
            What a call returned, or C-ordered arrays of its shapes and dtype: the results are written there,
            and `out` itself is returned. No array may share memory with another, but the new state may
            replace the old: `lstm(x, state, out=(y, state))`.

        Returns
        -------
        y
            The last layer's h at every step, [T, B, D*H], [B, T, D*H] or [T, D*H]; with two directions
            the forward one's H numbers come first.
        state
            The state after the last step, shaped like the initial one.
        c
            With `return_c` alone: the last layer's c at every step, shaped like y but H wide where y is P.
        """
        x, h, c, rows, batched = self._take(x, state)
        lengths, reset, skips = self._cut(lengths, reset, mask, x.shape, batched)
        cut = self._take_cut(reset_to, rows, batched)
        return_c = self._check_return_c(return_c)
        y_out = h_n = c_n = None
        if out is not None:
            if return_c:
                raise ValueError("out: expected None with return_c=True")
            y_out, h_n, c_n = self._take_out(out, x.shape, rows, batched)
            checks.apart(
                {"out: y": y_out, "out: h_n": h_n, "out: c_n": c_n},
                {"x": x, "state: h_0": h, "state: c_0": c, "reset_to: h": cut.h, "reset_to: c": cut.c},
            )
        y, h_out, c_out = y_out, h_n, c_n
        if skips is not None:
            x = skips.taken(x)
            y = h_out = c_out = None
        more = (0, cut.h, cut.c, return_c) if cut.given or return_c else ()
        if out is not None and skips is None:  # nothing may fail any more once the new state is in its place
            self._network.infer(x, h, c, self._batch_first, y, h_out, c_out, lengths, reset, *more)
            return out
        y, h, c, *memory = self._network.infer(
            x, h, c, self._batch_first, y, h_out, c_out, lengths, reset, *more
        )
        if skips is not None:
            y = skips.repeated(y)
            memory = [skips.repeated(array) for array in memory]
        if out is not None:  # all is there
            for to, result in ((y_out, y), (h_n, h), (c_n, c)):
                if to is not None:
                    np.copyto(to, result)
            return out
        y, state_n = self._as_given(y, batched), self._join(h, c, batched)
        return (y, state_n, self._as_given(memory[0], batched)) if return_c else (y, state_n)

    def _as_given(self, y: Array, batched: bool) -> Array:
        """Return what has the core's three axes with those that x came with."""
        if batched:
            return y
        return y[0] if self._batch_first else y[:, 0]

    def _check_return_c(self, return_c: object) -> bool:
        if return_c is False:  # as in most calls
            return False
        wanted = checks.flag(return_c, "return_c")
        if wanted and not self._KIND.has_memory:
            raise ValueError(f"return_c: expected False, for {self._KIND.name} has no c, got True")
        return wanted
