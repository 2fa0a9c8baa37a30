"""Keras on JAX: the functions of `lstmfast.jax`, under whatever transformation is at work."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import jax as functions
from ._exporting import Writers
from ._on_none import adopt as adopt
from ._on_none import refuse_own_path as refuse_own_path
from ._on_none import release as release
from ._reading import Recurrence
from ._weights import arranged

BEGINS_WITH_STATE = True

_WRITERS = Writers()
_NAMES = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
_FUNCTIONS: dict[str, Any] = {"LSTM": functions.lstm, "GRU": functions.gru, "RNN": functions.rnn}


def refusal(recurrences: list[Recurrence], tensors: list[Any], dtype: str) -> str | None:
    """Say why a call is none for the core, or None."""
    for tensor in tensors:
        if not isinstance(tensor, jax.Array):
            return f"a {type(tensor).__name__} is no dense array"
        if tensor.dtype != dtype:
            return f"an array is of {tensor.dtype}, not {dtype}"
        if not _is_traced(tensor) and any(device.platform != "cpu" for device in tensor.devices()):
            return "an array is on another device than the CPU"
    if not any(map(_is_traced, tensors)):
        return None
    if jax.default_backend() != "cpu":
        return f"JAX compiles for {jax.default_backend()}"
    return "the graph is for a file, which has Keras' own loop" if _WRITERS.at_work() else None


def _is_traced(tensor: Any) -> bool:
    return isinstance(tensor, jax.core.Tracer)


def known(mask: Any) -> Any:
    """Return the mask as an array, but where JAX traces."""
    return None if _is_traced(mask) else np.asarray(mask)


def taken(x: Any, index: Any) -> Any:
    """Take steps of x, [B, T, ...], row by row: index [B, N]."""
    return jnp.take_along_axis(x, index[..., None], axis=1)


def run(
    cell: Any,
    recurrence: Recurrence,
    weights: list[Any],
    x: Any,
    state: list[Any],
    skipping: Any,
    wants_states: bool,
    training: bool,
) -> tuple[Any, list[Any]]:
    """Run one cell over all steps: y [B, T, H], and its last states [B, H]."""
    it = recurrence
    zeros = jnp.zeros(weights[0].shape[1], weights[0].dtype)
    laid_out = arranged(it, weights, lambda parts: jnp.concatenate(parts, -1), zeros)
    params = dict(zip(_NAMES, laid_out, strict=False))  # two without biases
    options: dict[str, Any] = {"batch_first": True}
    if skipping is not None:
        options["lengths"] = skipping.lengths
    if it.activations is not None:
        options["activations"] = it.activations
    if it.cell == "rnn_relu":
        options["nonlinearity"] = "relu"
    if it.cell == it.kind.reset_before:
        options["reset_after"] = False
    states = [part[None] for part in state]
    y, ends = _FUNCTIONS[it.name](x, params, tuple(states) if it.has_memory else states[0], **options)
    return y, [end[0] for end in ends] if it.has_memory else [ends[0]]
