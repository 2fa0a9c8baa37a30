"""Masks of Keras': steps that a row skips, with its state and its output as they were.

The steps that are left of each row stand together in front, in their order; the core runs them with lengths,
and each step of the output is fetched from the last step before it that was not skipped. All by `keras.ops`,
so that every backend differentiates and compiles it. A mask whose rows are only padded at their ends, known
while the call is made, needs none of the fetching.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from .._base import checks
from . import _backends

_FAR = 2**30  # more than any T


def checked(mask: Any, x: Any) -> Any:
    """Return a mask as a tensor of bools [B, T]; None for none.

    Raises
    ------
    TypeError, ValueError
        If it is none; the message names it. (Keras itself takes more steps than there are, and ignores them.)
    """
    if isinstance(mask, (list, tuple)):  # one for each input; all of a layer's inputs have the same
        mask = mask[0] if mask else None
    if mask is None:
        return None
    rows, steps = x.shape[:2]
    try:
        tensor = ops.convert_to_tensor(mask)
        dtype = keras.backend.standardize_dtype(tensor.dtype)
    except Exception as error:
        raise TypeError(f"mask: expected bools [B, T], got {checks.shown(mask)}: {error}") from error
    if "complex" in dtype or "string" in dtype:
        raise TypeError(f"mask: expected bools [B, T], or numbers that are 0 or not, got dtype {dtype}")
    shape = tuple(tensor.shape)
    if len(shape) == 3 and shape[2] == 1:  # which Keras takes as well
        tensor, shape = ops.squeeze(tensor, 2), shape[:2]
    fits = len(shape) == 2 and all(
        None in (ours, theirs) or ours == theirs for ours, theirs in zip(shape, (rows, steps), strict=True)
    )
    if not fits:
        raise ValueError(f"mask: expected shape [B, T] = ({rows}, {steps}), got {shape}")
    return tensor if dtype == "bool" else ops.not_equal(tensor, 0)


def skipping(mask: Any, known: np.ndarray[Any, Any] | None) -> Skipping | None:
    """Read a mask [B, T]; known: the same as an array, where it is known now. None if nothing is skipped."""
    if known is None:
        return Skipping(mask)
    lengths = known.sum(axis=1, dtype=np.int64)
    if (lengths == known.shape[1]).all():
        return None
    if (known == (np.arange(known.shape[1]) < lengths[:, np.newaxis])).all():
        return Ending(mask, lengths)
    return Skipping(mask)


class Skipping:
    """A mask of which nothing is known: each row's steps in front, and outputs back in their places."""

    def __init__(self, mask: Any) -> None:
        self._mask = mask
        kept = ops.cast(mask, "int32")
        # Not by arange, of a T that a tracer may take for a constant.
        places = ops.cumsum(ops.ones_like(kept), axis=1)
        # By sort and not by argsort, which PyTorch's exporters do not know as Keras calls it.
        ordered = ops.sort(ops.where(mask, places, places + _FAR), axis=1)
        self._order = ops.where(ordered > _FAR, ordered - _FAR, ordered) - 1
        self._last = ops.cumsum(kept, axis=1) - 1  # [B, T]: of the steps in front, which was the last
        self.lengths = ops.sum(kept, axis=1)  # [B]

    def packed(self, x: Any) -> Any:
        """Return x, [B, T, I], with the steps that count in front."""
        return _backends.BACKEND.taken(x, self._order)

    def outputs(self, y: Any, h_n: Any, begin: Any) -> Any:
        """Return outputs [B, T, H] where they belong, each kept until the next one.

        h_n is the last one of each row, [B, H]; begin, [B, H], stands before the first one.
        """
        found = _backends.BACKEND.taken(y, ops.maximum(self._last, 0))
        return ops.where(ops.expand_dims(self._last < 0, 2), ops.expand_dims(begin, 1), found)

    def last(self, h_n: Any, begin: Any) -> Any:
        """Return the last output of each row, [B, H]."""
        return ops.where(ops.expand_dims(self.lengths, 1) > 0, h_n, begin)

    def ends(self, y: Any, begin: Any) -> Any:
        """Return h_n, [B, H], of outputs past whose ends there may be anything; begin: that of empty rows."""
        index = ops.expand_dims(ops.maximum(self.lengths - 1, 0), 1)
        return self.last(ops.squeeze(_backends.BACKEND.taken(y, index), 1), begin)


class Ending(Skipping):
    """A mask that only pads rows at their ends, with their lengths: an array."""

    def __init__(self, mask: Any, lengths: np.ndarray[Any, Any]) -> None:
        self._mask = mask
        self.lengths = lengths

    def packed(self, x: Any) -> Any:
        """Return x."""
        return x

    def outputs(self, y: Any, h_n: Any, begin: Any) -> Any:
        """Return outputs, with the last one of each row past its end."""
        return ops.where(ops.expand_dims(self._mask, 2), y, ops.expand_dims(self.last(h_n, begin), 1))

    def last(self, h_n: Any, begin: Any) -> Any:
        """Return the last output of each row, [B, H]."""
        if self.lengths.all():
            return h_n
        return ops.where(self.lengths[:, np.newaxis] > 0, h_n, begin)
