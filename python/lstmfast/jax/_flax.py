"""What both of Flax' interfaces have in common: cells as weights of ours, and its rules for rows that end.

Flax computes on past a row's end, whose steps are in no way special but for two things: in reverse only those
before the end are turned round, and the new carry is that of the row's own last step (of a row without steps,
of the very last).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from .._base.conventions import one
from . import _functions

# What Flax' carries hold, (c, h) or h, is ours the other way round.


@dataclass(frozen=True)
class Cell:
    """A cell as a function of ours, and its weights."""

    function: str  # "lstm", "gru" or "rnn"
    weights: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sequence:
    """A call: x, and how it is to be run."""

    x: Any  # [T, B, I], [B, T, I] or [T, I]
    time_major: bool
    reverse: bool
    keep_order: bool
    lengths: Any  # [B], or None
    wants_carry: bool

    @property
    def time_axis(self) -> int:
        """Which of the axes is time."""
        return 0 if self.time_major or self.x.ndim == 2 else 1

    @property
    def rows(self) -> tuple[int, ...]:
        """(B,), or () where x has no axis of rows."""
        return tuple(self.x.shape[: self.time_axis] + self.x.shape[self.time_axis + 1 : -1])

    @property
    def is_ours(self) -> bool:
        """Whether it has axes that we take, at most one of rows; all else is Flax', mistakes too."""
        lengths = self.lengths
        return getattr(self.x, "ndim", 0) in (2, 3) and (
            lengths is None
            or (
                getattr(lengths, "shape", None) == self.rows != ()
                and jnp.issubdtype(lengths.dtype, jnp.integer)
            )
        )


def call_of(module: Any, inputs: Any, lengths: Any, **given: bool | None) -> Sequence:
    """Read a call of a wrapper: what it is not given, None, the wrapper's attributes say."""
    said: dict[str, Any] = {
        name: getattr(module, name) if value is None else value for name, value in given.items()
    }
    return Sequence(inputs, lengths=lengths, wants_carry=said.pop("return_carry"), **said)


def cell_of(cell: Any, function: str, convention: str, arrays: Mapping[str, Any]) -> Cell | None:
    """Read a cell of Flax', which one of our functions may run; None where it computes something else.

    arrays: its own, by their names in a row of the table.
    """
    functions = [cell.activation_fn] if function == "rnn" else [cell.gate_fn, cell.activation_fn]
    if function == "lstm":
        functions.append(cell.activation_fn)
    names = activations(*functions)
    if names is None or getattr(cell, "residual", False):
        return None
    try:
        ours, _, _ = one.to_ours(arrays, convention, function.upper())
    except ValueError:  # which Flax finds, too
        return None
    return Cell(function, {f"{name}_l0": array for name, array in ours.items()}, {"activations": names})


def fits(cell: Cell, call: Sequence, carry: Any) -> bool:
    """Whether shapes and dtypes of a call that `is_ours` are a cell's."""
    halves = jax.tree.leaves(carry)
    inputs, units = cell.weights["weight_ih_l0"].shape[1], cell.weights["weight_hh_l0"].shape[1]
    return (
        call.x.shape[-1] == inputs
        and jax.tree.structure(carry) == jax.tree.structure((0, 0) if cell.function == "lstm" else 0)
        and all(getattr(half, "shape", None) == (*call.rows, units) for half in halves)
        and _of_one_dtype(call.x, *cell.weights.values(), *halves)
    )


def run(cell: Cell, call: Sequence, carry: Any) -> tuple[Any, Any]:
    """Run a cell over all steps: the carry, as far as it is wanted, and outputs in the order asked for."""
    in_reverse = call.reverse and call.lengths is None
    x = _turned(call.x, call) if call.reverse and not in_reverse else call.x
    picks = call.wants_carry and call.lengths is not None
    is_lstm = cell.function == "lstm"
    state = _with_passes(carry[::-1]) if is_lstm else _with_passes(carry)
    more = {"return_c": True} if picks and is_lstm else {}
    y, end, *c = getattr(_functions, cell.function)(
        x,
        cell.weights,
        state,
        batch_first=call.x.ndim == 3 and not call.time_major,
        reverse=in_reverse,
        **cell.options,
        **more,
    )
    if picks:
        carry = tuple(_last(each, call) for each in (*c, y)) if is_lstm else _last(y, call)
    else:
        carry = (end[1][0], end[0][0]) if is_lstm else end[0]
    if in_reverse and not call.keep_order:
        y = jnp.flip(y, call.time_axis)
    if call.reverse and not in_reverse and call.keep_order:
        y = _turned(y, call)
    return carry, y


def _with_passes(halves: Any) -> Any:
    return jax.tree.map(lambda half: half[None], halves)


def _turned(array: Any, call: Sequence) -> Any:
    """Turn round the steps that each row has, and leave the others where they are."""
    steps = array.shape[call.time_axis]
    backwards = jnp.arange(steps - 1, -1, -1)
    if call.time_axis == 0:
        index = (backwards[:, None] + call.lengths) % steps
    else:
        index = (backwards + call.lengths[:, None]) % steps
    return jnp.take_along_axis(array, index[:, :, None], axis=call.time_axis)


def _last(array: Any, call: Sequence) -> Any:
    """Take each row's last step; that of a row without steps is at -1, the very last."""
    in_time = array if call.time_axis == 0 else array.swapaxes(0, 1)
    return in_time[call.lengths - 1, jnp.arange(in_time.shape[1])]


@cache
def _known_functions() -> dict[Any, str]:
    return {
        jax.nn.sigmoid: "Sigmoid",
        jax.lax.logistic: "Sigmoid",
        jnp.tanh: "Tanh",
        jax.nn.tanh: "Tanh",
        jax.lax.tanh: "Tanh",
        jax.nn.relu: "Relu",
        jax.nn.soft_sign: "Softsign",
        jax.nn.softplus: "Softplus",
    }


def activations(*functions: Any) -> tuple[str, ...] | None:
    """Name the functions of a cell as we do; None where we have one of them not."""
    known = _known_functions()
    try:
        return tuple(known[function] for function in functions)
    except (KeyError, TypeError):  # or it cannot be hashed
        return None


def _of_one_dtype(*arrays: Any) -> bool:
    """Whether arrays are all float32, or all float64: what is of several dtypes Flax casts in its own way."""
    dtypes = {array.dtype for array in arrays}
    return len(dtypes) == 1 and dtypes <= {jnp.dtype("float32"), jnp.dtype("float64")}
