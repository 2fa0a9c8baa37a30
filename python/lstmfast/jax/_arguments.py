"""What a call is given, as arrays of JAX's: checked as far as it can be while it is traced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._base import checks, parameters, sequences
from .._base.parameters import PEEPHOLES, Layout

_SUFFIXES = ("", "_reverse")


def is_traced(value: object) -> bool:
    """Tell whether an array's numbers are not there yet."""
    return isinstance(value, jax.core.Tracer)


def real(value: object, name: str) -> Any:
    """Take an array of float32 or float64, as JAX's; nothing is rounded on the way."""
    if checks.is_masked(value):
        checks.real_array(value, name)  # which refuses it
    dtype: Any = getattr(value, "dtype", None)
    if dtype is None:
        try:
            array = jnp.asarray(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name}: expected an array, got {checks.shown(value)}: {error}") from None
        value, dtype = array, array.dtype
    if dtype == jnp.float64 and not jax.config.jax_enable_x64:
        raise ValueError(
            f"{name}: expected float32, for JAX has float64 only after"
            " jax.config.update('jax_enable_x64', True), got float64"
        )
    if dtype not in (jnp.float32, jnp.float64):
        raise TypeError(
            f"{name}: expected an array of float32 or float64, got one of {dtype}; cast it before"
        )
    return jnp.asarray(value)


def weights(
    params: object, gates: tuple[int, ...], reverse: bool, kinds: str
) -> tuple[Layout, dict[str, Any]]:
    """Read a layer off the names and shapes of its parameters; return its layout and weights in order.

    gates: how many a cell may have.

    Raises
    ------
    TypeError, ValueError
        If names, shapes or dtypes are not those of one layer.
    """
    if not isinstance(params, Mapping):
        raise TypeError(f"params: expected a mapping from names to arrays, got {checks.shown(params)}")
    arrays = {name: real(array, f"params[{name!r}]") for name, array in params.items()}
    layers = sum(f"weight_ih_l{layer}" in arrays for layer in range(len(arrays)))
    for name in ("weight_ih_l0", "weight_hh_l0"):
        if name not in arrays or arrays[name].ndim != 2:
            got = (
                f"shape {arrays[name].shape}"
                if name in arrays
                else f"the names {sorted(map(str, arrays))[:12]}"
            )
            raise ValueError(f"params: expected {name!r} with two axes, as {kinds} has, got {got}")
    (rows, inputs), (_, state) = arrays["weight_ih_l0"].shape, arrays["weight_hh_l0"].shape
    projection = arrays.get("weight_hr_l0")
    hidden = state if projection is None or projection.ndim != 2 else projection.shape[1]
    bidirectional = "weight_ih_l0_reverse" in arrays
    if bidirectional and reverse:
        raise ValueError("reverse: expected False, for params has both directions, got True")
    if min(hidden, inputs, state) < 1 or rows % hidden or rows // hidden not in gates:
        some = " or ".join(f"{n}*{hidden}" for n in gates)
        raise ValueError(
            f"params['weight_ih_l0']: expected {some} rows, for weight_hh_l0 says that H is {hidden},"
            f" got shape {(rows, inputs)}"
        )
    count = rows // hidden
    layout = Layout(
        gates=count,
        input_size=inputs,
        hidden_size=hidden,
        num_layers=max(layers, 1),
        bidirectional=bidirectional,
        bias="bias_ih_l0" in arrays,
        proj_size=0 if projection is None else checks.projection(state, hidden),
        peepholes=count - 1 if f"{PEEPHOLES}_l0" in arrays else 0,
        norms="gain_ih_l0" in arrays,
        reverse=reverse,
    )
    found = {}
    for name, (shape, symbols) in parameters.expected(arrays, "params", layout).items():
        if arrays[name].shape != shape:
            raise ValueError(f"params[{name!r}]: expected shape {shape} {symbols}, got {arrays[name].shape}")
        found[name] = arrays[name]
    return layout, found


@dataclass(frozen=True)
class Sequence:
    """A call's x, with three axes."""

    x: Any
    batched: bool
    batch_first: bool

    @property
    def steps(self) -> int:
        """T."""
        return int(self.x.shape[1 if self.batch_first else 0])

    @property
    def rows(self) -> int:
        """B."""
        return int(self.x.shape[0 if self.batch_first else 1])

    def as_given(self, y: Any) -> Any:
        """Return what has three axes with those that x came with."""
        if self.batched:
            return y
        return y[0] if self.batch_first else y[:, 0]


def sequence(x: object, layout: Layout, batch_first: bool, dtype: Any) -> Sequence:
    """Check x, [T, B, I], [B, T, I] with batch_first, or [T, I]."""
    array = real(x, "x")
    if array.dtype != dtype:
        raise TypeError(f"x: expected {dtype}, as the parameters have, got {array.dtype}")
    if array.ndim not in (2, 3) or array.shape[-1] != layout.input_size:
        axes = "B, T" if batch_first else "T, B"
        raise ValueError(
            f"x: expected shape [{axes}, {layout.input_size}] or, unbatched, [T, {layout.input_size}]"
            f" (the last is what weight_ih_l0 takes), got {array.shape}"
        )
    batched = array.ndim == 3
    if not batched:
        array = array[None] if batch_first else array[:, None]
    return Sequence(array, batched, batch_first)


def state_part(
    half: object, name: str, shape: tuple[int, ...], symbols: str, batched: bool, dtype: Any
) -> Any:
    """Check h or c, [L*D, B, ...], or [L*D, ...] where x came unbatched; None for none."""
    if half is None:
        return None
    array = real(half, name)
    if array.dtype != dtype:
        raise TypeError(f"{name}: expected {dtype}, as the parameters have, got {array.dtype}")
    expected = shape if batched else (shape[0], shape[2])
    if array.shape != expected:
        raise ValueError(f"{name}: expected shape {expected} {symbols}, got {array.shape}")
    return array if batched else array[:, None]


def ends(lengths: object, given: Sequence) -> Any:
    """Check `lengths`, integers [B]; of a traced array the handler checks the numbers. None if all are T."""
    if lengths is None:
        return None
    if not is_traced(lengths):
        checked = sequences.ends(_held(lengths), given.steps, given.rows, given.batched)
        return None if checked is None else jnp.asarray(checked.astype(np.int32))
    array: Any = lengths
    shape, axes = ((given.rows,), "[B]") if given.batched else ((), "one integer")
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(f"lengths: expected an array of integers [B], got one of dtype {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"lengths: expected shape {shape} {axes}, got {array.shape}")
    # What int32 or int64 cannot hold becomes negative, and is found out.
    wide = array.dtype in (jnp.int64, jnp.uint64)
    return array.astype(jnp.int64 if wide else jnp.int32).reshape(given.rows)


def marks(value: object, name: str, given: Sequence) -> Any:
    """Check `reset` or `mask`, bools in x's first axes; return them as [T, B]."""
    if value is None:
        return None
    if not is_traced(value):
        read = sequences.starts if name == "reset" else sequences.taken
        checked = read(_held(value), given.steps, given.rows, given.batched, given.batch_first)
        return None if checked is None else jnp.asarray(checked)
    array: Any = value
    shape, axes = ((given.steps,), "[T]") if not given.batched else ((given.steps, given.rows), "[T, B]")
    if given.batched and given.batch_first:
        shape, axes = shape[::-1], "[B, T]"
    if array.dtype != jnp.bool_:
        raise TypeError(f"{name}: expected an array of bools {axes}, got one of dtype {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape} {axes}, got {array.shape}")
    if not given.batched:
        return array[:, None]
    return array.T if given.batch_first else array


def _held(value: object) -> object:
    return np.asarray(value) if isinstance(value, jax.Array) else value
