"""A chain as ONNX has it: nodes of one step, one after the other, that share one W, R and B."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from ..problem import Problem
from .onnx_model import finished
from .stacked import layer_weights

__all__ = ["build"]


def build(problem: Problem) -> Any:  # noqa: ANN401 - onnx is not there for the type checker
    """Build the model as an `onnx.ModelProto`: T nodes, and nothing between them.

    Y_h of a node, [1, B, H], is X of the next one, and its initial state; inputs and outputs are those of a
    single step from the zero state.
    """
    onnx = importlib.import_module("onnx")
    case = problem.case
    W, R, *biases = layer_weights(problem, 0, lstm="iofg", gru="zrn")
    weights = {"W": W, "R": R, "b": np.concatenate(biases, axis=1)}
    more = {"linear_before_reset": 1} if case.cell == "gru" else {}
    nodes, x, state = [], "x", [""] * case.halves
    for k in range(case.T):
        last = k == case.T - 1
        after = [f"{name}_{'n' if last else k}" for name in case.states]
        operands, results = [x, *weights, "", *state], ["y" if last else "", *after]
        nodes.append(onnx.helper.make_node(case.kind.name, operands, results, hidden_size=case.H, **more))
        x, state = after[0], after
    constants = [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()]
    return finished(problem, nodes, constants, {"x": problem.x})
