"""Models of one node, whose weights are made in any way, and how ONNX Runtime runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest

from ..helpers import Array, random
from ..onnx_nodes import COUPLED, GATES, Node

onnx = pytest.importorskip("onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
OUTPUTS = {"LSTM": ("Y", "Y_h", "Y_c"), "GRU": ("Y", "Y_h"), "RNN": ("Y", "Y_h")}
WEIGHTS = ("W", "R", "B", "P")
COUNT = {"LSTM": 3, "GRU": 2, "RNN": 1}  # activations
T, B, I, H = 6, 3, 4, 5

# Each with the numbers that ONNX Runtime needs.
FUNCTIONS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("Tanh", ()),
    ("Sigmoid", ()),
    ("Relu", ()),
    ("Affine", (0.7, 0.2)),
    ("LeakyRelu", (0.1,)),
    ("ThresholdedRelu", (0.3,)),
    ("ScaledTanh", (1.3, 0.6)),
    ("HardSigmoid", (0.3, 0.4)),
    ("Elu", (0.8,)),
    ("Softsign", ()),
    ("Softplus", ()),
)


def node_of(
    operator: str,
    *,
    bias: bool = True,
    peephole: bool = False,
    states: bool = True,
    lengths: bool = False,
    dtype: Any = "float32",
    seed: int = 0,
    **attributes: Any,
) -> Node:
    """A node with its inputs."""
    D = 2 if attributes.get("direction") == "bidirectional" else 1
    G = {"LSTM": 4, "GRU": 3, "RNN": 1}[operator]
    batchwise = attributes.get("layout") == 1
    state = (B, D, H) if batchwise else (D, B, H)
    inputs = {
        "X": random((B, T, I) if batchwise else (T, B, I), dtype, seed + 1),
        "W": random((D, G * H, I), dtype, seed + 2, 0.5),
        "R": random((D, G * H, H), dtype, seed + 3, 0.4),
    }
    if bias:
        inputs["B"] = random((D, 2 * G * H), dtype, seed + 4, 0.3)
    if lengths:
        inputs["sequence_lens"] = np.array([T, 1, T - 2], np.int32)
    if states:
        inputs["initial_h"] = random(state, dtype, seed + 5, 0.5)
        if operator == "LSTM":
            inputs["initial_c"] = random(state, dtype, seed + 6, 0.5)
    if peephole:
        inputs["P"] = random((D, 3 * H), dtype, seed + 7, 0.5)
    return Node(operator, {"hidden_size": H, **attributes}, inputs)


@st.composite
def nodes(draw: st.DrawFn) -> Node:
    """Any node that a layer of ours can be."""
    operator = draw(st.sampled_from(("LSTM", "GRU", "RNN")))
    direction = draw(st.sampled_from(("forward", "reverse", "bidirectional")))
    attributes: dict[str, Any] = {}
    if direction != "forward" or draw(st.booleans()):
        attributes["direction"] = direction
    if draw(st.booleans()):
        attributes["clip"] = draw(st.sampled_from((0.3, 1.5)))
    if draw(st.booleans()):
        functions = [draw(st.sampled_from(FUNCTIONS)) for _ in range(COUNT[operator])]
        functions *= 2 if direction == "bidirectional" else 1
        attributes |= activations(functions)
    if operator == "LSTM" and draw(st.booleans()):
        attributes["input_forget"] = draw(st.sampled_from((0, 1)))
    if operator == "GRU" and draw(st.booleans()):
        attributes["linear_before_reset"] = draw(st.sampled_from((0, 1)))
    if draw(st.booleans()):
        attributes["layout"] = draw(st.sampled_from((0, 1)))
    return node_of(
        operator,
        bias=draw(st.booleans()),
        peephole=operator == "LSTM" and draw(st.booleans()),
        states=draw(st.booleans()),
        lengths=draw(st.booleans()),
        dtype=draw(st.sampled_from(("float32", "float64"))),
        **attributes,
    )


def activations(functions: Sequence[tuple[str, tuple[float, ...]]]) -> dict[str, Any]:
    """Functions as attributes: alphas and betas in order, of those that have them."""
    found: dict[str, Any] = {"activations": [name for name, _ in functions]}
    for place, name in enumerate(("activation_alpha", "activation_beta")):
        numbers = [given[place] for _, given in functions if len(given) > place]
        if numbers:
            found[name] = numbers
    return found


def made(node: Node, name: str = "node", **inputs: str) -> Any:
    """The node as onnx has it. inputs: what its inputs are called, but by the operator's names."""
    given = [inputs.get(each, each if each in node.inputs else "") for each in INPUTS]
    while not given[-1]:
        given.pop()
    return helper.make_node(node.operator, given, list(OUTPUTS[node.operator]), name=name, **node.attributes)


def value(name: str, array: Array) -> Any:
    """An input of a graph."""
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def output(name: str, dtype: Any = "float32", rank: int = 4) -> Any:
    """An output of a graph, of any sizes."""
    axes = [f"{name}_{axis}" for axis in range(rank)]
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), axes)


def model_of(
    node: Node,
    *,
    weights: Mapping[str, Array] | None = None,
    before: Sequence[Any] = (),
    opset: int = 14,
    **inputs: str,
) -> Any:
    """A model of the node.

    weights: its constants, beside the node's own, but for those inputs that are called otherwise. before:
    nodes that make others of them. inputs: what the node's are called.
    """
    own = {name: array for name, array in node.inputs.items() if name in WEIGHTS and name not in inputs}
    constants = {**own, **(weights or {})}
    graph = helper.make_graph(
        [*before, made(node, **inputs)],
        "graph",
        [value(name, array) for name, array in node.inputs.items() if name not in WEIGHTS],
        [output(name, node.inputs["W"].dtype, 4 if name == "Y" else 3) for name in OUTPUTS[node.operator]],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return whole(graph, opset)


def whole(graph: Any, opset: int = 14, ir_version: int = 8, **options: Any) -> Any:
    """A model of a graph."""
    opsets = [helper.make_opsetid("", opset)]
    opsets += [helper.make_opsetid(domain, 1) for domain in options.pop("domains", ())]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version, **options)


def run_by_runtime(model: Any, inputs: Mapping[str, Array]) -> list[Array]:
    """What ONNX Runtime's own provider makes of it."""
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    results: list[Array] = session.run(
        None, {name: array for name, array in inputs.items() if name not in WEIGHTS}
    )
    return results


def rows_of(array: Array, operator: str, coupled: bool) -> Array:
    """A direction's weight with its gates in our order, by a table of the tests' own."""
    parts = np.split(array, len(GATES[operator]))
    return np.concatenate([parts[gate] for gate in (COUPLED if coupled else GATES[operator])])
