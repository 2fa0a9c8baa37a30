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

    Runs `LSTMCell`, `OptimizedLSTMCell`, `GRUCell` and `SimpleCell` with lstmfast's kernels. Cells of
    other classes,
    or with other layers in the place of theirs, activations that lstmfast has not, dtypes that Flax would
    cast, more than one axis of rows and state axes other than the usual ones go Flax' own way, and so do all
    mistakes. `unroll` changes no result.

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
        wants_carry = self.return_carry if return_carry is None else return_carry
        call = _flax.Sequence(
            inputs,
            self.time_major if time_major is None else time_major,
            self.reverse if reverse is None else reverse,
            self.keep_order if keep_order is None else keep_order,
            seq_lengths,
            wants_carry,
        )
        cell = _cell(self.cell) if self._is_usual() else None
        if cell is not None and call.is_ours and initial_carry is None:
            given = self.rngs if rngs is None else rngs
            given = given.carry.fork() if isinstance(given, nnx.Rngs) else given
            # Once, for Flax' way as well: it counts how often it has been asked.
            initial_carry = self.cell.initialize_carry((*call.rows, inputs.shape[-1]), given)
        if cell is not None and call.is_ours and _flax.fits(cell, call, initial_carry):
            carry, y = _flax.run(cell, call, initial_carry)
            return (carry, y) if wants_carry else y
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


def _cell(cell: Any) -> _flax.Cell | None:
    """Read a cell's parameters and options; None where it is none of ours."""
    if type(cell) not in (nnx.LSTMCell, nnx.OptimizedLSTMCell, nnx.GRUCell, nnx.SimpleCell):
        return None
    if cell.promote_dtype is not dtypes.promote_dtype:
        return None
    if type(cell) is nnx.LSTMCell:
        inner = [cell.ii, cell.if_, cell.ig, cell.io], [cell.hi, cell.hf, cell.hg, cell.ho]
    else:
        inner = [cell.dense_i], [cell.dense_h]
    of_x, of_h = inner
    if not all(_is_plain(layer, cell) for layer in (*of_x, *of_h)):
        return None
    functions = (
        [cell.activation_fn] if isinstance(cell, nnx.SimpleCell) else [cell.gate_fn, cell.activation_fn]
    )
    is_lstm = isinstance(cell, (nnx.LSTMCell, nnx.OptimizedLSTMCell))
    names = _flax.activations(*functions, *([cell.activation_fn] if is_lstm else []))
    if names is None or getattr(cell, "residual", False):
        return None
    weights = {
        "weight_ih_l0": _flax.stacked(jnp.asarray(layer.kernel[...]) for layer in of_x),
        "weight_hh_l0": _flax.stacked(jnp.asarray(layer.kernel[...]) for layer in of_h),
    }
    rows = len(weights["weight_hh_l0"])
    for layers, name in ((of_x, "bias_ih_l0"), (of_h, "bias_hh_l0")):
        biases = [layer.bias[...] for layer in layers if layer.bias is not None]
        dtype = weights["weight_hh_l0"].dtype
        weights[name] = _flax.stacked(biases) if biases else jnp.zeros(rows, dtype)
    function = "lstm" if is_lstm else "rnn" if isinstance(cell, nnx.SimpleCell) else "gru"
    return _flax.Cell(function, weights, {"activations": names})


def _is_plain(layer: Any, cell: Any) -> bool:
    """Whether a cell's layer is a product and a sum of Flax' own, in the dtype of its parameters."""
    if type(layer) is not nnx.Linear or not isinstance(layer.kernel, nnx.Param):
        return False
    dtype = layer.kernel[...].dtype
    return (cell.dtype is None or cell.dtype == dtype) and layer.dot_general is jax.lax.dot_general
