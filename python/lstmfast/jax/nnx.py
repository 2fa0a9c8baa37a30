"""Flax nnx' `RNN` with lstmfast's work in it: the same arguments, parameters and results.

>>> import jax.numpy as jnp, lstmfast.jax.nnx
>>> from flax import nnx
>>> model = lstmfast.jax.nnx.RNN(nnx.OptimizedLSTMCell(3, 32, rngs=nnx.Rngs(0)))   # for nnx.RNN(...)
>>> nnx.jit(model)(jnp.ones((2, 5, 3))).shape
(2, 5, 32)

Needs Flax: `pip install flax`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

try:
    from flax import nnx
    from flax.nnx.nn import dtypes
except ImportError as error:
    raise ImportError("lstmfast.jax.nnx needs Flax: pip install flax") from error

from . import _flax

__all__ = ["RNN"]


class RNN(nnx.RNN):  # type: ignore[misc]
    """Take the place of `flax.nnx.RNN`: same constructor, same call, same state.

    Runs `LSTMCell`, `OptimizedLSTMCell`, `GRUCell` and `SimpleCell` with lstmfast's kernels. Cells of other
    classes, or with other layers in the place of theirs, activations that lstmfast has not, dtypes that Flax
    would cast, more than one axis of rows and state axes other than the usual ones go Flax' own way, and so
    do all mistakes. `unroll` changes no result.

    Outputs past a row's length are computed on, as Flax does, and a carry is (c, h).
    """

    def __call__(
        self,
        inputs: Any,
        *,
        initial_carry: Any = None,
        seq_lengths: Any = None,
        return_carry: bool | None = None,
        time_major: bool | None = None,
        reverse: bool | None = None,
        keep_order: bool | None = None,
        rngs: Any = None,
    ) -> Any:
        """Apply the cell to all steps, as `flax.nnx.RNN` does; see there for the arguments."""
        call = _flax.call_of(
            self,
            inputs,
            seq_lengths,
            time_major=time_major,
            reverse=reverse,
            keep_order=keep_order,
            return_carry=return_carry,
        )
        cell = _cell(self.cell) if self._is_usual() else None
        if cell is not None and call.is_ours and initial_carry is None:
            given = self.rngs if rngs is None else rngs
            given = given.carry.fork() if isinstance(given, nnx.Rngs) else given
            # Once, for Flax' way as well: it counts how often it has been asked.
            initial_carry = self.cell.initialize_carry((*call.rows, inputs.shape[-1]), given)
        if cell is not None and call.is_ours and _flax.fits(cell, call, initial_carry):
            carry, y = _flax.run(cell, call, initial_carry)
            return (carry, y) if call.wants_carry else y
        return super().__call__(
            inputs,
            initial_carry=initial_carry,
            seq_lengths=seq_lengths,
            return_carry=return_carry,
            time_major=time_major,
            reverse=reverse,
            keep_order=keep_order,
            rngs=rngs,
        )

    def _is_usual(self) -> bool:
        """Whether the cell's state is carried whole from step to step, without random numbers."""
        return self.broadcast_rngs is None and self.state_axes == nnx.StateAxes({...: nnx.Carry})


# Of an LSTMCell, one for each gate; others have two.
_LAYERS = ("ii", "if_", "ig", "io", "hi", "hf", "hg", "ho")


def _cell(cell: Any) -> _flax.Cell | None:
    """Read a cell's parameters and options; None where it is none of ours."""
    if type(cell) not in (nnx.LSTMCell, nnx.OptimizedLSTMCell, nnx.GRUCell, nnx.SimpleCell):
        return None
    if cell.promote_dtype is not dtypes.promote_dtype:
        return None
    names = _LAYERS if type(cell) is nnx.LSTMCell else ("dense_i", "dense_h")
    layers = {name: getattr(cell, name) for name in names}
    if not all(_is_plain(layer, cell) for layer in layers.values()):
        return None
    arrays = {
        f"{name}/{part}": jnp.asarray(array[...])
        for name, layer in layers.items()
        for part, array in (("kernel", layer.kernel), ("bias", layer.bias))
        if array is not None
    }
    function = {nnx.SimpleCell: "rnn", nnx.GRUCell: "gru"}.get(type(cell), "lstm")
    row = "flax-nnx-optimized" if type(cell) is nnx.OptimizedLSTMCell else "flax-nnx"
    return _flax.cell_of(cell, function, row, arrays)


def _is_plain(layer: Any, cell: Any) -> bool:
    """Whether a cell's layer is a product and a sum of Flax' own, in the dtype of its parameters."""
    if type(layer) is not nnx.Linear or not isinstance(layer.kernel, nnx.Param):
        return False
    dtype = layer.kernel[...].dtype
    wanted = (cell.dtype, layer.dtype, getattr(layer, "preferred_element_type", None))  # newer Flax has this
    return (
        all(each in (None, dtype) for each in wanted)
        and layer.promote_dtype is dtypes.promote_dtype
        and layer.dot_general is jax.lax.dot_general
    )
