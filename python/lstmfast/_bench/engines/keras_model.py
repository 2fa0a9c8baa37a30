"""A Keras model, on whichever backend: one LSTM, GRU or SimpleRNN a layer, batch first as Keras is."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from ..problem import Array, Problem, Results
from . import named

__all__ = ["KerasModel"]

# Whose GRU resets after the product, as PyTorch's, unless it is told not to.
_CLASSES = {"lstm": "LSTM", "gru": "GRU", "rnn": "SimpleRNN"}


class KerasModel:
    """Inputs x, for steps the state, and for rows with lengths a mask; outputs y and the state.

    Keras has one bias where others have two: it gets their sum, whose gradient is that of each. Its GRU has
    both. The gates of an LSTM are in PyTorch's order, those of a GRU are z, r, n.
    """

    def __init__(self, problem: Problem) -> None:
        self._keras: Any = importlib.import_module("keras")
        self._problem = problem
        case = problem.case
        layers = self._keras.layers
        # [B, T, I], and what else the model takes, in the order of its inputs.
        self.given: list[Array] = [np.ascontiguousarray(problem.x.swapaxes(0, 1))]
        x = self._keras.Input((case.T, case.I), batch_size=case.B)
        inputs, states, mask = [x], [], None
        if problem.lengths is not None:
            mask = self._keras.Input((case.T,), batch_size=case.B, dtype="bool")
            inputs.append(mask)
            self.given.append(np.arange(case.T) < problem.lengths[:, np.newaxis])
        self.layers: list[Any] = []
        # The cells, as PyTorch orders layers and directions, and the suffix of each one's parameters.
        self._cells: dict[str, Any] = {}
        for layer in range(case.layers):
            state = None
            if case.goes_on:
                count = case.directions * case.halves
                state = [self._keras.Input((case.H,), batch_size=case.B) for _ in range(count)]
                inputs += state
                self.given += [np.zeros((case.B, case.H), np.float32)] * count
            one = getattr(layers, _CLASSES[case.cell])(
                case.H, return_sequences=True, return_state=True, zero_output_for_mask=True
            )
            whole = layers.Bidirectional(one) if case.directions == 2 else one
            x, *end = whole(x, initial_state=state, mask=mask)
            states += end
            self.layers += [whole.forward_layer, whole.backward_layer] if case.directions == 2 else [one]
            if case.directions == 2:
                self._cells[f"_l{layer}"] = whole.forward_layer.cell
                self._cells[f"_l{layer}_reverse"] = whole.backward_layer.cell
            else:
                self._cells[f"_l{layer}"] = one.cell
        self.model: Any = self._keras.Model(inputs, [x, *states])
        for suffix, cell in self._cells.items():
            W, R, b_ih, b_hh = (
                self._reordered(problem.weights[f"{kind}{suffix}"])
                for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            cell.kernel.assign(W.T)
            cell.recurrent_kernel.assign(R.T)
            cell.bias.assign(np.stack([b_ih, b_hh]) if case.cell == "gru" else b_ih + b_hh)

    @property
    def variables(self) -> list[Any]:
        """Kernel, recurrent kernel and bias of each layer and direction, whose gradients are asked for."""
        return [
            variable
            for cell in self._cells.values()
            for variable in (cell.kernel, cell.recurrent_kernel, cell.bias)
        ]

    @property
    def dy(self) -> Array:
        """The outputs' gradient, [B, T, D*H]."""
        return np.ascontiguousarray(self._problem.dy.swapaxes(0, 1))

    def states(self, returned: list[Array]) -> Results:
        """Shape y and the states, as the model returns them, as the truth is."""
        case = self._problem.case
        y, *states = returned
        halves = (np.stack(states[k :: case.halves]) for k in range(case.halves))
        return named(y.swapaxes(0, 1), *halves)

    def gradients(self, y: Array, dx: Array, dvariables: list[Array]) -> Results:
        """Name gradients as PyTorch names the parameters; dvariables: those of `variables`, in that order."""
        return {
            "y": y.swapaxes(0, 1),
            "dx": dx.swapaxes(0, 1),
            **self.parameter_gradients(dvariables),
        }

    def parameter_gradients(self, dvariables: list[Array]) -> Results:
        """Name those of `variables` as PyTorch names the parameters."""
        found: dict[str, Array] = {}
        for k, suffix in enumerate(self._cells):
            kernel, recurrent, bias = dvariables[3 * k : 3 * k + 3]
            b_ih, b_hh = bias if bias.ndim > 1 else (bias, bias)
            found |= {
                f"d {kind}{suffix}": self._reordered(array)
                for kind, array in (
                    ("weight_ih", kernel.T), ("weight_hh", recurrent.T), ("bias_ih", b_ih), ("bias_hh", b_hh),
                )
            }  # fmt: skip
        return found

    def _reordered(self, array: Array) -> Array:
        """Exchange r and z of a GRU, from PyTorch's order to Keras's or back; others stay as they are."""
        if self._problem.case.cell != "gru":
            return array
        r, z, n = np.split(array, 3)
        return np.concatenate([z, r, n])
