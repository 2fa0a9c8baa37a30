"""Flax linen's `RNN` with lstmfast's work in it: the same arguments, parameters and results.

>>> import flax.linen as nn, jax, jax.numpy as jnp, lstmfast.jax.linen
>>> model = lstmfast.jax.linen.RNN(nn.OptimizedLSTMCell(32))   # for nn.RNN(...)
>>> variables = model.init(jax.random.key(0), jnp.ones((2, 5, 3)))
>>> jax.jit(model.apply)(variables, jnp.ones((2, 5, 3))).shape
(2, 5, 32)

Needs Flax: `pip install flax`.
"""

from __future__ import annotations

from typing import Any

import jax

try:
    import flax.linen as nn
    from flax.linen import module as _module
    from flax.traverse_util import flatten_dict
except ImportError as error:
    raise ImportError("lstmfast.jax.linen needs Flax: pip install flax") from error

from . import _flax

__all__ = ["RNN"]


class RNN(nn.RNN):  # type: ignore[misc]
    """Take the place of `flax.linen.RNN`: same attributes, same call, same tree of parameters.

    Runs `LSTMCell`, `OptimizedLSTMCell`, `GRUCell` and `SimpleCell` with lstmfast's kernels. Cells of other
    classes, activations that lstmfast has not, dtypes that Flax would cast, more than one axis of rows, axes
    of variables other than the usual ones and `init` itself go Flax' own way, and so do all mistakes.
    `unroll` changes no result.

    Outputs past a row's length are computed on, as Flax does, and a carry is (c, h).
    """

    def __call__(
        self,
        inputs: Any,
        *,
        initial_carry: Any = None,
        init_key: Any = None,
        seq_lengths: Any = None,
        return_carry: bool | None = None,
        time_major: bool | None = None,
        reverse: bool | None = None,
        keep_order: bool | None = None,
    ) -> Any:
        """Apply the cell to all steps, as `flax.linen.RNN` does; see there for the arguments."""
        call = _flax.call_of(
            self,
            inputs,
            seq_lengths,
            time_major=time_major,
            reverse=reverse,
            keep_order=keep_order,
            return_carry=return_carry,
        )
        cell = None if self.is_initializing() or not self._is_usual() else _cell(self.cell)
        if cell is not None and call.is_ours:
            carry = initial_carry
            if carry is None:
                key = jax.random.key(0) if init_key is None else init_key
                carry = self.cell.initialize_carry(key, (*call.rows, inputs.shape[-1]))
            if _flax.fits(cell, call, carry):
                carry, y = _flax.run(cell, call, carry)
                return (carry, y) if call.wants_carry else y
        return super().__call__(
            inputs,
            initial_carry=initial_carry,
            init_key=init_key,
            seq_lengths=seq_lengths,
            return_carry=return_carry,
            time_major=time_major,
            reverse=reverse,
            keep_order=keep_order,
        )

    def _is_usual(self) -> bool:
        """Whether nothing but parameters has a part in the steps, and nobody looks into them."""
        return (
            not self.variable_axes
            and self.variable_broadcast == "params"
            and not self.variable_carry
            and dict(self.split_rngs) == {"params": False}
            and not self.is_mutable_collection("intermediates")
            and not _intercepted()
        )


def _intercepted() -> bool:
    """Whether calls go through somebody's `nn.intercept_methods`, who expects the cell's, too."""
    return bool(getattr(_module, "_global_interceptor_stack", ()))  # Flax has no public way to ask


def _cell(cell: Any) -> _flax.Cell | None:
    """Read a cell's parameters and options; None where it is none of ours."""
    if type(cell) not in (nn.LSTMCell, nn.OptimizedLSTMCell, nn.GRUCell, nn.SimpleCell):
        return None
    params = flatten_dict(nn.meta.unbox(cell.variables.get("params", {})), sep="/")
    if cell.dtype is not None and any(array.dtype != cell.dtype for array in params.values()):
        return None
    function = {nn.SimpleCell: "rnn", nn.GRUCell: "gru"}.get(type(cell), "lstm")
    return _flax.cell_of(cell, function, "flax", params)
