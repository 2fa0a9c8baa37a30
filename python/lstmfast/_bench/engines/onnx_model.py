"""The model as ONNX has it: one LSTM node a layer, gates in ONNX's order i, o, f, g."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cases import Case
from ..problem import Array, Problem

__all__ = ["build", "names", "shapes"]

OPSET = 14  # has all that is used; every onnxruntime of the last years reads it
IR_VERSION = 8


def shapes(case: Case) -> dict[str, tuple[int, ...]]:
    """Return inputs and outputs by name with their shapes; only a step takes its state."""
    T, B, H, D = case.T, case.B, case.H, case.directions
    state = (D, B, H)
    given = {"x": (T, B, case.I)}
    taken: dict[str, tuple[int, ...]] = {"y": (T, B, D * H) if D > 1 else (T, 1, B, H)}
    for layer in range(case.layers):
        if case.work == "step":
            given |= {f"h{layer}": state, f"c{layer}": state}
        taken |= {f"h{layer}_n": state, f"c{layer}_n": state}
    return given | taken


def names(case: Case) -> tuple[list[str], list[str]]:
    """Return the names of the inputs and of the outputs."""
    every = list(shapes(case))
    outputs = [name for name in every if name == "y" or name.endswith("_n")]
    return [name for name in every if name not in outputs], outputs


def build(problem: Problem) -> Any:  # noqa: ANN401 - onnx is not there for the type checker
    """Build the model as an `onnx.ModelProto`, as PyTorch's exporter does, all shapes fixed.

    The last layer's y stays as ONNX leaves it where there is one direction, [T, 1, B, H]: reshaping it would
    only cost. Two directions come out side by side, as the next layer, or whatever follows, takes them.
    """
    onnx = importlib.import_module("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    case = problem.case
    sizes = shapes(case)
    inputs, outputs = names(case)
    D, H = case.directions, case.H
    nodes, constants = [], []

    def constant(name: str, value: Array) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    x = "x"
    for layer in range(case.layers):
        last = layer == case.layers - 1
        weights = layer_weights(problem.weights, layer, D)
        operands = [x, *(constant(f"{kind}{layer}", value) for kind, value in weights.items())]
        if f"h{layer}" in inputs:
            operands += ["", f"h{layer}", f"c{layer}"]  # "" is sequence_lens: all are T long
        raw = "y" if last and D == 1 else f"y{layer}_raw"
        direction = "forward" if D == 1 else "bidirectional"
        results = [raw, f"h{layer}_n", f"c{layer}_n"]
        nodes.append(helper.make_node("LSTM", operands, results, hidden_size=H, direction=direction))
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

    def values(chosen: list[str]) -> list[Any]:
        return [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sizes[name]) for name in chosen]

    graph = helper.make_graph(nodes, "lstm", values(inputs), values(outputs), constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    return model


def layer_weights(weights: Mapping[str, Array], layer: int, D: int) -> dict[str, Array]:
    """Stack a layer's directions: W [D, 4H, I], R [D, 4H, H], b [D, 8H]."""
    suffixes = [f"_l{layer}{way}" for way in ("", "_reverse")[:D]]

    def stacked(kind: str) -> Array:
        return np.stack([_reordered(weights[kind + suffix]) for suffix in suffixes])

    bias = np.concatenate([stacked("bias_ih"), stacked("bias_hh")], axis=1)
    return {"W": stacked("weight_ih"), "R": stacked("weight_hh"), "b": bias}


def _reordered(array: Array) -> Array:
    i, f, g, o = np.split(array, 4)
    return np.concatenate([i, o, f, g])
