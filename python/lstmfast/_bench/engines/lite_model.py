"""The model as LiteRT's own operators have it: UNIDIRECTIONAL_SEQUENCE_LSTM or _RNN, one for each layer.

Written with LiteRT's schema. Converters do not make these operators: from Keras comes a loop over steps, from
PyTorch every step by itself.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from ..problem import Array, Problem

__all__ = ["build"]

SCHEMA_VERSION = 3
LSTM_OPERANDS = 24  # most of them optional


def build(problem: Problem) -> tuple[bytes, list[list[int]]]:
    """Return the model, time first, and for each layer which of its tensors hold h and, of an LSTM, c.

    Its first tensor is x, [T, B, I]; its only output is y, [T, B, H].
    """
    built = _Model(problem)
    x = built.tensor("x", problem.x.shape)
    y, states = x, []
    for layer in range(problem.case.layers):
        y, state = built.layer(y, layer)
        states.append(state)
    return built.bytes([x], [y]), states


class _Model:
    """Tensors, buffers and operators, as they are added."""

    def __init__(self, problem: Problem) -> None:
        self._schema: Any = importlib.import_module("ai_edge_litert.schema_py_generated")
        self._problem = problem
        # The first buffer is the empty one, of all tensors that are computed.
        self._buffers, self._tensors, self._operators = [self._schema.BufferT()], [], []  # type: ignore[var-annotated]

    def tensor(
        self, name: str, shape: tuple[int, ...], value: Array | None = None, *, kept: bool = False
    ) -> int:
        """Add a tensor, constant if it has a value; one that is `kept` stays from call to call."""
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, list(shape), self._schema.TensorType.FLOAT32
        tensor.isVariable = kept
        if value is not None:
            buffer = self._schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(value, "<f4").tobytes(), np.uint8)
            tensor.buffer = len(self._buffers)
            self._buffers.append(buffer)
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def layer(self, x: int, layer: int) -> tuple[int, list[int]]:
        """Add a layer's operator; return its y, and where its state is kept."""
        case, weights = self._problem.case, self._problem.weights
        gates = {
            name: np.split(weights[f"{name}_l{layer}"], case.gates)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        w = [self.tensor(f"w{layer}", one.shape, one) for one in gates["weight_ih"]]
        r = [self.tensor(f"r{layer}", one.shape, one) for one in gates["weight_hh"]]
        biases = zip(gates["bias_ih"], gates["bias_hh"], strict=True)
        b = [self.tensor(f"b{layer}", (case.H,), one + other) for one, other in biases]
        state = [self.tensor(name, (case.B, case.H), kept=True) for name in case.states_of(layer)]
        y = self.tensor(f"y{layer}", (case.T, case.B, case.H))
        operator = self._schema.OperatorT()
        if case.cell == "lstm":  # i, f, g, o; no peepholes, no projection, no normalisation
            taken = [x, *w, *r, -1, -1, -1, *b, -1, -1, *state]
            taken += [-1] * (LSTM_OPERANDS - len(taken))
            options = self._schema.UnidirectionalSequenceLSTMOptionsT()
            operator.builtinOptionsType = self._schema.BuiltinOptions.UnidirectionalSequenceLSTMOptions
        else:
            taken = [x, *w, *r, *b, *state]
            options = self._schema.SequenceRNNOptionsT()
            operator.builtinOptionsType = self._schema.BuiltinOptions.SequenceRNNOptions
        options.fusedActivationFunction = self._schema.ActivationFunctionType.TANH
        options.timeMajor = True
        operator.builtinOptions = options
        operator.inputs, operator.outputs = taken, [y]
        self._operators.append(operator)
        return y, state

    def bytes(self, inputs: list[int], outputs: list[int]) -> bytes:
        """Return all of it as a file."""
        schema = self._schema
        code = schema.OperatorCodeT()
        name = f"UNIDIRECTIONAL_SEQUENCE_{self._problem.case.kind.name}"
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = code.builtinCode
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self._tensors, self._operators
        graph.inputs, graph.outputs = inputs, outputs
        model = schema.ModelT()
        model.version, model.operatorCodes, model.subgraphs = SCHEMA_VERSION, [code], [graph]
        model.buffers = self._buffers
        builder = importlib.import_module("flatbuffers").Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
