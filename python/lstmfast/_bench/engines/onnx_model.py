"""The model as ONNX has it: one LSTM, GRU or RNN node a layer, gates in ONNX's own orders."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..cases import Case
from ..problem import Array, Problem, Results
from . import named
from .stacked import layer_weights

__all__ = ["build", "finished", "inputs", "outputs", "results"]

OPSET = 14  # has all that is used; every onnxruntime of the last years reads it
IR_VERSION = 8


def inputs(problem: Problem, *, stateful: bool = False) -> dict[str, Array]:
    """Return the inputs by name: x, the rows' lengths if they have any, and for steps the zero state.

    With `stateful` sequences have it, too: some engines are right only where states are inputs.
    """
    case = problem.case
    given = {"x": problem.x}
    if problem.lengths is not None:
        given["lengths"] = problem.lengths.astype(np.int32)
    if case.goes_on or stateful:
        given |= {name: np.zeros((case.directions, case.B, case.H), np.float32) for name in case.states}
    return given


def outputs(case: Case) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the outputs by name: y, and the state after the last steps."""
    T, B, H, D = case.T, case.B, case.H, case.directions
    if case.work == "chain":  # that of the last of T nodes
        T = 1
    returned: dict[str, tuple[int, ...]] = {"y": (T, B, D * H) if D > 1 else (T, 1, B, H)}
    return returned | {f"{name}_n": (D, B, H) for name in case.states}


def results(returned: Mapping[str, Any], problem: Problem) -> Results:
    """Shape what a model returned, by name, as the truth is."""
    case = problem.case
    y = np.asarray(returned["y"]).reshape(-1, case.B, case.directions * case.H)
    ends = [np.asarray(returned[f"{name}_n"]) for name in case.states]
    return named(y, *(np.concatenate(ends[k :: case.halves]) for k in range(case.halves)))


def build(problem: Problem, *, stateful: bool = False) -> Any:  # noqa: ANN401 - onnx is not there for the type checker
    """Build the model as an `onnx.ModelProto`, as PyTorch's exporter does, all shapes fixed.

    The last layer's y stays as ONNX leaves it where there is one direction, [T, 1, B, H]: reshaping it would
    only cost. Two directions come out side by side, as the next layer, or whatever follows, takes them.
    `stateful` is that of `inputs`.
    """
    onnx = importlib.import_module("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    case = problem.case
    given = inputs(problem, stateful=stateful)
    D, H = case.directions, case.H
    nodes, constants = [], []
    # r multiplies what W_hn has made of h, as in PyTorch; without, it would multiply h.
    more = {"linear_before_reset": 1} if case.cell == "gru" else {}

    def constant(name: str, value: Array) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    x = "x"
    for layer in range(case.layers):
        last = layer == case.layers - 1
        W, R, *biases = layer_weights(problem, layer, lstm="iofg", gru="zrn")
        weights = {"W": W, "R": R, "b": np.concatenate(biases, axis=1)}
        operands = [x, *(constant(f"{kind}{layer}", value) for kind, value in weights.items())]
        state = case.states_of(layer)
        operands.append("lengths" if "lengths" in given else "")  # without: all rows are T long
        operands += [name for name in state if name in given]
        raw = "y" if last and D == 1 else f"y{layer}_raw"
        direction = "forward" if D == 1 else "bidirectional"
        results = [raw, *(f"{name}_n" for name in state)]
        nodes.append(
            helper.make_node(case.kind.name, operands, results, hidden_size=H, direction=direction, **more)
        )
        if raw == "y":
            break
        x = "y" if last else f"y{layer}"
        if D == 1:
            axis = constant(f"axis{layer}", np.array([1], np.int64))
            nodes.append(helper.make_node("Squeeze", [raw, axis], [x]))
        else:
            shape = constant(f"shape{layer}", np.array([0, 0, -1], np.int64))
            nodes.append(helper.make_node("Transpose", [raw], [f"{raw}_t"], perm=[0, 2, 1, 3]))
            nodes.append(helper.make_node("Reshape", [f"{raw}_t", shape], [x]))

    return finished(problem, nodes, constants, given)


def finished(
    problem: Problem,
    nodes: Sequence[Any],
    constants: Sequence[Any],
    given: Mapping[str, Array],
) -> Any:  # noqa: ANN401
    """Make an `onnx.ModelProto` of nodes, constants and the arrays that it is given."""
    helper = importlib.import_module("onnx").helper

    def value(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:  # noqa: ANN401
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), shape)

    taken = [value(name, array.dtype, array.shape) for name, array in given.items()]
    returned = [value(name, np.dtype(np.float32), shape) for name, shape in outputs(problem.case).items()]
    graph = helper.make_graph(nodes, problem.case.cell, taken, returned, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    return model
