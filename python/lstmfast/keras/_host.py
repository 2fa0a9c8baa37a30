"""The core's passes from arrays to arrays, nothing kept between them: for graphs that call the host.

The backward pass makes its network and its tape from what it is given, as the forward pass left it; the
packed weights are found again by their fingerprint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _core
from ._weights import AnyArray, Packed, gradients_as_given


def sequence(x: AnyArray) -> AnyArray:
    """Return x as the core walks it: any strides, but for the last axis."""
    if x.strides[-1] == x.itemsize and x.flags.aligned:
        return x
    return dense(x)


def dense(array: AnyArray) -> AnyArray:
    """Return an array that is C-ordered and aligned."""
    return np.require(array, requirements=("C", "A"))


def _pair(state: Sequence[AnyArray], rows: int, what: str) -> tuple[AnyArray | None, AnyArray | None]:
    """Return h and c, [1, B, H], or None for what there is not."""
    for part in state:
        if len(part) != rows:  # where a graph did not know it before
            raise ValueError(f"{what}: expected {rows} rows, as the input, got {len(part)}")
    h, c = (*(dense(part)[np.newaxis] for part in state), None)[:2]
    return h, c


def _of_rows(lengths: Any) -> AnyArray | None:
    return None if lengths is None else np.ascontiguousarray(lengths, np.int64)


def infer(
    packed: Packed,
    weights: Sequence[AnyArray],
    x: AnyArray,
    state: Sequence[AnyArray],
    lengths: AnyArray | None = None,
) -> list[AnyArray]:
    """Run forward and keep nothing: y [B, T, H], h_n and, of an LSTM, c_n [B, H].

    Parameters
    ----------
    weights
        As Keras has them: kernel, recurrent_kernel[, bias].
    x
        [B, T, I], of the weights' dtype.
    state
        h[, c], each [B, H].
    lengths
        Integers [B]: how many steps each row has; None is T.
    """
    network = packed.network(weights)
    h0, c0 = _pair(state, len(x), "initial_state")
    y, *ends = network.infer(sequence(x), h0, c0, True, lengths=_of_rows(lengths))
    return [y, *(end[0] for end in ends if end is not None)]


def forward(
    packed: Packed,
    weights: Sequence[AnyArray],
    x: AnyArray,
    state: Sequence[AnyArray],
    lengths: AnyArray | None = None,
) -> list[AnyArray]:
    """Run forward as `infer` does, and return what the backward pass needs, a row of numbers, behind it."""
    network = packed.network(weights)
    h0, c0 = _pair(state, len(x), "initial_state")
    rows, steps = x.shape[:2]
    kept_array = _core.kept_array32 if x.dtype == np.float32 else _core.kept_array64
    kept = kept_array(network.tape_size(rows * steps, rows))
    y, *ends, _ = network.forward(sequence(x), h0, c0, True, lengths=_of_rows(lengths), memory=kept)
    return [y, *(end[0] for end in ends if end is not None), kept]


def backward(
    packed: Packed,
    weights: Sequence[AnyArray],
    x: AnyArray,
    state: Sequence[AnyArray],
    y: AnyArray,
    kept: AnyArray,
    grads: Sequence[AnyArray],
    lengths: AnyArray | None = None,
) -> list[AnyArray]:
    """Go back: the gradients of x, the state and the weights, each shaped as it.

    y, kept: what `forward` gave of the same arguments. grads: of y, h_n[, c_n].
    """
    network = packed.network(weights)
    make_tape = _core.Tape32 if x.dtype == np.float32 else _core.Tape64
    tape = make_tape(network, sequence(x), dense(y), _aligned(kept), True, lengths=_of_rows(lengths))
    dy, *ends = grads
    dh_n, dc_n = _pair(ends, len(x), "gradient")
    dx, dh0, dc0, dweights = network.backward(tape, dense(dy), dh_n, dc_n)
    states = [dh0[0]] if dc0 is None else [dh0[0], dc0[0]]
    two = len(weights) > 2 and weights[2].ndim == 2
    return [dx, *states, *gradients_as_given(packed.recurrence, dweights, two)]


def _aligned(kept: AnyArray) -> AnyArray:
    """Return what forward kept as the core wants it: whoever handed it on may have moved it."""
    if kept.__array_interface__["data"][0] % 64 == 0 and kept.flags.c_contiguous:
        return kept
    kept_array = _core.kept_array32 if kept.dtype == np.float32 else _core.kept_array64
    copy = kept_array(kept.size)
    copy[...] = kept
    return copy
