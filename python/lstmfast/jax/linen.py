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
except ImportError as error:
    raise ImportError("lstmfast.jax.linen needs Flax: pip install flax") from error

from . import _flax

__all__ = ["RNN"]


class RNN(nn.RNN):  # type: ignore[misc]
    """Take the place of `flax.linen.RNN`: same attributes, same call, same tree of parameters.

    Runs `LSTMCell`, `OptimizedLSTMCell`, `GRUCell` and `SimpleCell` with lstmfast's kernels. Cells of
    other classes,
    activations that lstmfast has not, dtypes that Flax would cast, more than one axis of rows, axes of
    variables other than the usual ones and `init` itself go Flax' own way, and so do all mistakes. `unroll`
    changes no result.

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
        wants_carry = self.return_carry if return_carry is None else return_carry
        call = _flax.Sequence(
            inputs,
            self.time_major if time_major is None else time_major,
            self.reverse if reverse is None else reverse,
            self.keep_order if keep_order is None else keep_order,
            seq_lengths,
            wants_carry,
        )
        cell = None if self.is_initializing() or not self._is_usual() else _cell(self.cell)
        if cell is not None and call.is_ours:
            carry = initial_carry
            if carry is None:
                key = jax.random.key(0) if init_key is None else init_key
                carry = self.cell.initialize_carry(key, (*call.rows, inputs.shape[-1]))
            if _flax.fits(cell, call, carry):
                carry, y = _flax.run(cell, call, carry)
                return (carry, y) if wants_carry else y
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
        )


def _cell(cell: Any) -> _flax.Cell | None:
    """Read a cell's parameters and options; None where it is none of ours."""
    if type(cell) not in (nn.LSTMCell, nn.OptimizedLSTMCell, nn.GRUCell, nn.SimpleCell):
        return None
    params = nn.meta.unbox(cell.variables.get("params", {}))
    expected = {
        nn.GRUCell: ("ir", "iz", "in", "hr", "hz", "hn"),
        nn.SimpleCell: ("i", "h"),
    }.get(type(cell), ("ii", "if", "ig", "io", "hi", "hf", "hg", "ho"))
    if set(params) != set(expected):
        return None
    kernels = {name: params[name]["kernel"] for name in expected}
    own = tuple(kernels.values())
    if cell.dtype is not None and any(kernel.dtype != cell.dtype for kernel in own):
        return None
    if type(cell) is nn.SimpleCell:
        names = _flax.activations(cell.activation_fn)
        if names is None or cell.residual:
            return None
        weights = {"weight_ih_l0": kernels["i"].T, "weight_hh_l0": kernels["h"].T}
        bias = params["i"]["bias"]
        weights |= {"bias_ih_l0": bias, "bias_hh_l0": jax.numpy.zeros_like(bias)}
        return _flax.Cell("rnn", weights, {"activations": names})
    is_gru = type(cell) is nn.GRUCell
    gates = "rzn" if is_gru else "ifgo"
    names = _flax.activations(cell.gate_fn, cell.activation_fn, *([] if is_gru else [cell.activation_fn]))
    if names is None:
        return None
    weights = {
        "weight_ih_l0": _flax.stacked(kernels[f"i{gate}"] for gate in gates),
        "weight_hh_l0": _flax.stacked(kernels[f"h{gate}"] for gate in gates),
    }
    # Biases are on the side of x in a GRU but for n's second one, and else on that of h.
    for side, name in (("i", "bias_ih_l0"), ("h", "bias_hh_l0")):
        some = params["in" if is_gru else "hi"]["bias"]
        zeros = jax.numpy.zeros_like(some)
        weights[name] = _flax.stacked([params[f"{side}{gate}"].get("bias", zeros) for gate in gates])
    return _flax.Cell("gru" if is_gru else "lstm", weights, {"activations": names})
