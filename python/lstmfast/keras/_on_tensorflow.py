"""Keras on TensorFlow: calls of the host, in graphs and outside of them, with gradients of their own.

Graphs that are to leave this process (SavedModel, LiteRT, ONNX) must not have such calls: whoever exports
gets Keras' own loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from . import _host
from ._exporting import Writers
from ._on_none import refuse_own_path as refuse_own_path
from ._reading import Recurrence
from ._weights import Packed, packed_of

BEGINS_WITH_STATE = False


_WRITERS = Writers(tf.saved_model.save)


def refusal(recurrences: list[Recurrence], tensors: list[Any], dtype: str) -> str | None:
    """Say why a call is none for the core, or None."""
    for tensor in tensors:
        if not isinstance(tensor, (tf.Tensor, tf.Variable)):
            return f"a {type(tensor).__name__} is no dense tensor"
        if tensor.dtype != dtype:
            return f"a tensor is of {tensor.dtype.name}, not {dtype}"
        if "CPU" not in (tensor.device or "CPU"):
            return f"a tensor is on the device {tensor.device}"
    if not tf.executing_eagerly() and _WRITERS.at_work():
        return "the graph is for a file, which has Keras' own loop"
    return None


def known(mask: Any) -> Any:
    """Return the mask as an array outside of graphs."""
    return mask.numpy() if tf.executing_eagerly() else None


def taken(x: Any, index: Any) -> Any:
    """Take steps of x, [B, T, ...], row by row: index [B, N]."""
    return tf.gather(x, index, axis=1, batch_dims=1)


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
    operands = [tf.convert_to_tensor(tensor) for tensor in (x, *state, *weights)]
    lengths = [] if skipping is None else [tf.cast(skipping.lengths, tf.int64)]
    y, *ends = _Call(packed_of(cell, recurrence), len(state), training).run(operands, lengths)
    return y, ends


class _Call:
    """One call of the core, in a graph or not. Its operands: x, h[, c], the weights; and maybe lengths.

    A graph does not know whether anybody will go back through it. In training what that needs is kept; else
    the pass is made once more then.
    """

    def __init__(self, packed: Packed, states: int, keeps: bool) -> None:
        self._packed = packed
        self._states = states
        self._keeps = keeps

    def run(self, operands: list[Any], lengths: list[Any]) -> list[Any]:
        """Run forward, with gradients: y, h_n[, c_n]."""

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def call(*operands: Any) -> Any:
            dtype = operands[0].dtype
            *found, kept = tf.numpy_function(
                self._forward, [*operands, *lengths], [dtype] * (self._states + 2), stateful=False
            )
            found = self._shaped(operands, found)

            def go_back(*grads: Any) -> Any:
                return self._go_back(operands, lengths, found[0], kept, grads)

            return found, go_back

        results: list[Any] = call(*operands)
        return results

    def _go_back(self, operands: Any, lengths: list[Any], y: Any, kept: Any, grads: Any) -> Any:
        """Find the gradients, of which no others can be taken."""
        given = [*operands, y, kept, *grads, *lengths]

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def call(*given: Any) -> Any:
            found = tf.numpy_function(
                self._backward, list(given), [operands[0].dtype] * len(operands), stateful=False
            )
            for gradient, operand in zip(found, operands, strict=True):
                gradient.set_shape(operand.shape)

            def refuse(*_: Any) -> Any:
                raise NotImplementedError(
                    "lstmfast.keras has no gradients of gradients on TensorFlow: restore(layer) before"
                )

            return found, refuse

        return call(*given)

    def _shaped(self, operands: Any, found: list[Any]) -> list[Any]:
        """Say what is known of the results' shapes, which a call of the host hides."""
        rows, steps = operands[0].shape[:2]
        units = operands[1].shape[1]
        for tensor, shape in zip(
            found, ((rows, steps, units), *((rows, units),) * self._states), strict=True
        ):
            tensor.set_shape(shape)
        return found

    # On the host: arrays.

    def _split(self, given: tuple[Any, ...]) -> tuple[Any, ...]:
        """Take operands apart: weights, x, states, and what is behind them."""
        bias = 1 if self._packed.recurrence.bias else 0
        ends = 1 + self._states + 2 + bias
        x, *rest = given[:ends]
        return rest[self._states :], x, rest[: self._states], given[ends:]

    def _forward(self, *given: Any) -> list[Any]:
        weights, x, states, rest = self._split(given)
        if self._keeps:
            return _host.forward(self._packed, weights, x, states, *rest)
        return [*_host.infer(self._packed, weights, x, states, *rest), np.empty(0, x.dtype)]

    def _backward(self, *given: Any) -> list[Any]:
        weights, x, states, (y, kept, *rest) = self._split(given)
        grads, lengths = rest[: self._states + 1], rest[self._states + 1 :]
        if not self._keeps:
            y, *_, kept = _host.forward(self._packed, weights, x, states, *lengths)
        return _host.backward(self._packed, weights, x, states, y, kept, grads, *lengths)


_JIT = "_lstmfast_supported_jit"


def adopt(layer: Any) -> None:
    """Say that XLA cannot compile a layer's calls of the host."""
    layer.__dict__[_JIT] = layer.supports_jit
    layer.supports_jit = False


def release(layer: Any) -> None:
    """Undo `adopt`."""
    layer.supports_jit = layer.__dict__.pop(_JIT, layer.supports_jit)
