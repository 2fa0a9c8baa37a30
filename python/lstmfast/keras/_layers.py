"""`LSTM`, `GRU`, `SimpleRNN` and `RNN`: Keras' layers, whose loop over time is the core's."""

from __future__ import annotations

import inspect
from typing import Any

import keras
from keras import ops

from . import _backends, _masks, _paths


class Recurrent:
    """What every layer has whose work is lstmfast's. In its bases it stands before Keras' class."""

    def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: Any = False) -> Any:
        """Run all steps: the last output, all outputs (or the last with a time axis) and the last states."""
        training = bool(training)
        prepared = prepare(self, sequences, initial_state, training)
        if isinstance(prepared, str):
            _backends.BACKEND.refuse_own_path(self, sequences, prepared)
            found: Any = super().inner_loop(  # type: ignore[misc]
                sequences, initial_state, mask=mask, training=training
            )
            return found
        mask = _masks.checked(mask, sequences)
        return _run(self, prepared, sequences, initial_state, mask, training)


def prepare(layer: Any, x: Any, initial_state: Any, training: bool) -> list[_paths.Part] | str:
    """Return the cells of a call that the core takes, or why Keras' own path has to."""
    cells = _paths.cells_for_core(layer, training)
    if isinstance(cells, str):
        return cells
    return _paths.parts_of(cells, x, _states_of(layer, initial_state))


def _states_of(layer: Any, initial_state: Any) -> list[list[Any]]:
    """Give the states of each cell as lists, however Keras has nested them."""
    if not isinstance(initial_state, (list, tuple)):
        initial_state = [initial_state]
    if type(layer.cell) is not keras.layers.StackedRNNCells:
        initial_state = [initial_state]
    return [list(state) if isinstance(state, (list, tuple)) else [state] for state in initial_state]


def _run(
    layer: Any, parts: list[_paths.Part], x: Any, initial_state: Any, mask: Any, training: bool
) -> tuple[Any, Any, Any]:
    backend = _backends.BACKEND
    if layer.go_backwards:
        x = ops.flip(x, axis=1)
        mask = None if mask is None else ops.flip(mask, axis=1)
    skipping = None if mask is None else _masks.skipping(mask, backend.known(mask))
    y = x if skipping is None else skipping.packed(x)
    wants_states = layer.return_state or layer.stateful
    ends = []
    for cell, recurrence, weights, state in parts:
        if layer.stateful:  # Keras writes the new states over them, in place, before anybody goes back
            state = [ops.copy(part) for part in state]
        if training and cell.dropout:
            y = y * ops.expand_dims(cell.get_dropout_mask(y[:, 0, :]), axis=1)
        y, end = backend.run(cell, recurrence, weights, y, state, skipping, wants_states, training)
        ends.append(end)
    last = h_n = ends[-1][0]
    if skipping is not None:
        begin = parts[-1].state[0] if backend.BEGINS_WITH_STATE else ops.zeros_like(h_n)
        last = skipping.last(h_n, begin)
        if layer.return_sequences:
            y = skipping.outputs(y, h_n, begin)
            if layer.zero_output_for_mask:
                y = ops.where(ops.expand_dims(mask, 2), y, ops.zeros_like(y))
        if layer.zero_output_for_mask:
            last = ops.where(mask[:, -1:], last, ops.zeros_like(last))
    if not layer.return_sequences:
        y = ops.expand_dims(last, 1)
    if type(layer.cell) is not keras.layers.StackedRNNCells:
        return last, y, ends[0]
    nested = [
        end if isinstance(state, (list, tuple)) else end[0]
        for end, state in zip(ends, initial_state, strict=True)
    ]
    return last, y, nested


class LSTM(Recurrent, keras.layers.LSTM):  # type: ignore[misc]
    """`keras.layers.LSTM` whose work on the CPU, in float32 and float64, is done by lstmfast.

    Constructor, weights, configuration, initial values and dropout under a seed, masks, states, arguments and
    results of calls are those of `keras.layers.LSTM`, on every backend. What the core does not do
    (`recurrent_dropout`, `unroll`, other activations, other dtypes and devices) goes along Keras' own path;
    `lstmfast.keras.explain(layer)` says which way, and why.

    It is saved as `keras.layers.LSTM`: whoever loads the file needs no lstmfast, and gets Keras' own layer,
    to which `lstmfast.keras.accelerate(model)` may be applied again.

    Raises
    ------
    TypeError, ValueError
        From calls, if a mask is of another dtype or shape than [B, T].

    Notes
    -----
    Results do not depend on the number of threads, nor on the batch a row is in. Weights are packed when a
    call finds them changed, which it sees by one pass over them, whoever has written to them and however.
    """


class GRU(Recurrent, keras.layers.GRU):  # type: ignore[misc]
    """`keras.layers.GRU` whose work on the CPU, in float32 and float64, is done by lstmfast.

    See `LSTM`: all that is said there holds for `keras.layers.GRU`, with the reset gate before the product or
    after it.
    """


class SimpleRNN(Recurrent, keras.layers.SimpleRNN):  # type: ignore[misc]
    """`keras.layers.SimpleRNN` whose work on the CPU, in float32 and float64, is done by lstmfast.

    See `LSTM`: all that is said there holds for `keras.layers.SimpleRNN`.
    """


class RNN(Recurrent, keras.layers.RNN):  # type: ignore[misc]
    """`keras.layers.RNN` whose work on the CPU, in float32 and float64, is done by lstmfast.

    Its cell may be a `keras.layers.LSTMCell`, `GRUCell` or `SimpleRNNCell`, or a `StackedRNNCells` of two and
    more of these; any other cell goes along Keras' own path. See `LSTM` for the rest.
    """


class Bidirectional(keras.layers.Bidirectional):  # type: ignore[misc]
    """`keras.layers.Bidirectional` of layers whose work is lstmfast's.

    Keras' own makes both of its layers anew, from the configuration of the one that it is given: Keras' own
    layers, therefore, of ours too (`accelerate` makes them ours). This one has ours, whatever it is given.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for layer in (self.forward_layer, self.backward_layer):
            if type(layer) in BY_KERAS:
                object.__setattr__(layer, "__class__", BY_KERAS[type(layer)])
                _backends.BACKEND.adopt(layer)


# Ours by Keras' own.
BY_KERAS: dict[type, type] = {}
for _ours in (LSTM, GRU, SimpleRNN, RNN, Bidirectional):
    _theirs: Any = getattr(keras.layers, _ours.__name__)
    BY_KERAS[_theirs] = _ours
    # By which files name them, and Keras alone finds its own.
    _ours.__module__ = "keras.layers"
    _ours.__signature__ = inspect.signature(_theirs)
