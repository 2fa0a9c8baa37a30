"""Keras' weights in the order and the orientation of the core's, and the network packed of them.

Keras has kernel [I, G*H], recurrent_kernel [H, G*H] and bias [G*H], gates of an LSTM in the core's order i,
f, g, o, of a GRU as z, r, n; a GRU whose reset gate comes after the product has a bias [2, 3*H], the input's
and the recurrent one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._base import runtime
from .._base.kinds import GRU
from ._reading import Recurrence

AnyArray = NDArray[Any]


def weights_of(cell: Any) -> list[Any]:
    """Return the weights of a cell as the backend's tensors: kernel, recurrent_kernel[, bias]."""
    weights = [cell.kernel, cell.recurrent_kernel]
    if cell.bias is not None:
        weights.append(cell.bias)
    return [weight.value if isinstance(weight, keras.Variable) else weight for weight in weights]


def arranged(
    recurrence: Recurrence, weights: Sequence[Any], joined: Callable[[list[Any]], Any], zeros: Any
) -> list[Any]:
    """Lay weights out as the core has them: weight_ih, weight_hh[, bias_ih, bias_hh].

    Works on whatever the weights are, with the functions given, so that gradients go back through it.

    Parameters
    ----------
    weights
        kernel, recurrent_kernel[, bias].
    joined
        Joins arrays or tensors along their last axis.
    zeros
        [G*H], the bias of h where Keras has one bias. Not asked for without biases.
    """
    if recurrence.kind is GRU:
        H = recurrence.units
        weights = [
            joined([w[..., H : 2 * H], w[..., :H], w[..., 2 * H :]]) for w in weights
        ]  # z, r, n to r, z, n
    kernel, recurrent_kernel, *bias = weights
    matrices = [kernel.T, recurrent_kernel.T]
    if not bias:
        return matrices
    return [*matrices, bias[0][0], bias[0][1]] if len(bias[0].shape) == 2 else [*matrices, bias[0], zeros]


def arranged_arrays(recurrence: Recurrence, weights: Sequence[AnyArray]) -> list[AnyArray]:
    """Lay arrays out as the core has them, dense and aligned."""
    zeros = np.zeros(weights[0].shape[1], weights[0].dtype)
    found = arranged(recurrence, weights, lambda parts: np.concatenate(parts, axis=-1), zeros)
    return [np.require(array, requirements=("C", "A")) for array in found]


def gradients_as_given(recurrence: Recurrence, gradients: Sequence[AnyArray], two: bool) -> list[AnyArray]:
    """Lay the core's gradients of its weights out as Keras has those. two: whether there are two biases."""
    if recurrence.kind is GRU:
        H = recurrence.units
        gradients = [np.concatenate([g[H : 2 * H], g[:H], g[2 * H :]]) for g in gradients]
    matrices = [np.ascontiguousarray(g.T) for g in gradients[:2]]
    if not recurrence.bias:
        return matrices
    return [*matrices, np.stack(gradients[2:]) if two else gradients[2]]


class Packed:
    """The network of a cell's weights, packed anew when they have changed. Any threads may ask at once.

    Whoever changes weights, and however, each call sees it: it reads all of them once, where they lie, and
    compares a fingerprint.
    """

    def __init__(self, recurrence: Recurrence) -> None:
        self.recurrence = recurrence
        # Fingerprint, dtype and network: one object, for threads.
        self._state: tuple[bytes, np.dtype[Any], Any] | None = None

    def network(
        self, weights: Sequence[AnyArray], threads: int = 0, addresses: Sequence[int] | None = None
    ) -> Any:
        """Return the network of these weights, as Keras has them, as they are now.

        addresses: where they are, of dense ones, from whoever knows it sooner than NumPy tells.
        """
        dtype = weights[0].dtype
        if addresses is None:
            weights = [np.require(w, requirements=("C", "A")) for w in weights]
            addresses = [w.ctypes.data for w in weights]
        # Before they are packed: if another thread writes meanwhile, the next call sees that and packs again.
        mark = _core.fingerprint(runtime.isa(), addresses, [w.nbytes for w in weights], threads)
        state = self._state
        if state is not None and state[0] == mark and state[1] == dtype:
            return state[2]
        it = self.recurrence
        make = _core.Network32 if dtype == np.float32 else _core.Network64
        network = make(
            it.cell,
            len(weights[0]),
            it.units,
            1,
            False,
            it.bias,
            arranged_arrays(it, weights),
            runtime.isa(),
            0,
            threads,
            it.variant,
        )
        self._state = (mark, dtype, network)
        return network


# In the __dict__ of cells, past Keras' tracking: neither saved nor copied.
_KEY = "_lstmfast_packed"


def packed_of(cell: Any, recurrence: Recurrence) -> Packed:
    """Find what was packed for a cell before, or make room for it."""
    found: Packed | None = cell.__dict__.get(_KEY)
    if found is None or found.recurrence is not recurrence:
        found = cell.__dict__[_KEY] = Packed(recurrence)
    return found


def forget(cell: Any) -> None:
    """Let go of what was packed for a cell."""
    cell.__dict__.pop(_KEY, None)
