"""LSTM, GRU and RNN of ONNX: the standard's own test cases, and what ONNX Runtime computes of variants."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..helpers import Array, random
from ..onnx_nodes import Node, run

onnx = pytest.importorskip("onnx")

pytestmark = [pytest.mark.tools, pytest.mark.filterwarnings("ignore")]

NAMES = {
    "LSTM": ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"),
    "GRU": ("X", "W", "R", "B", "sequence_lens", "initial_h"),
    "RNN": ("X", "W", "R", "B", "sequence_lens", "initial_h"),
}
OUTPUTS = {"LSTM": ("Y", "Y_h", "Y_c"), "GRU": ("Y", "Y_h"), "RNN": ("Y", "Y_h")}


# The standard's own.


@functools.cache
def cases() -> dict[str, Any]:
    """All of its nodes' test cases, by name; it takes seconds to make them."""
    loader = pytest.importorskip("onnx.backend.test.loader")
    return {case.name: case for case in loader.load_model_tests(kind="node")}


def model_and_data(case: Any) -> tuple[Any, list[Array], list[Array]]:
    """Return the model, its inputs and its outputs, from memory or, of older versions, from files."""
    if case.model is not None:
        inputs, outputs = case.data_sets[0]
        return case.model, inputs, outputs
    folder = Path(case.model_dir)

    def data(kind: str) -> list[Array]:
        paths = sorted(
            (folder / "test_data_set_0").glob(f"{kind}_*.pb"), key=lambda path: (len(path.name), path)
        )
        return [onnx.numpy_helper.to_array(onnx.load_tensor(path)) for path in paths]

    return onnx.load(folder / "model.onnx"), data("input"), data("output")


KINDS = ("defaults", "with_initial_bias", "batchwise", "reverse", "bidirectional")
NAMED = [f"test_{operator}_{kind}" for operator in ("lstm", "gru", "simple_rnn") for kind in KINDS]
MORE = ("test_lstm_with_peepholes", "test_gru_seq_length", "test_rnn_seq_length")


@pytest.mark.parametrize("name", [*NAMED, *MORE])
def test_the_standards_cases(name: str) -> None:
    case = cases().get(name)
    if case is None:
        assert not name.endswith(("defaults", "bias", "peepholes"))  # all versions have these
        pytest.skip("not in this version of onnx")
    model, inputs, outputs = model_and_data(case)
    (node,) = model.graph.node
    attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    for key, value in attributes.items():
        attributes[key] = value.decode() if isinstance(value, bytes) else value
    names = [key for key, each in zip(NAMES[node.op_type], node.input, strict=False) if each]
    found = run(Node(node.op_type, attributes, dict(zip(names, inputs, strict=True))))
    asked = [key for key, each in zip(OUTPUTS[node.op_type], node.output, strict=False) if each]
    for key, expected in zip(asked, outputs, strict=True):
        assert found[key].shape == expected.shape
        np.testing.assert_allclose(found[key], expected, rtol=1e-6, atol=1e-6, err_msg=key)


# ONNX Runtime's.

T, B, I, H = 7, 3, 4, 5


def node_of(operator: str, *, scale: float = 1.0, peephole: bool = False, **attributes: Any) -> Node:
    """A node with all inputs, whose rows differ in length.

    None is empty: ONNX Runtime gives such a row zeros for its last state, and not its initial one.
    """
    D = 2 if attributes.get("direction") == "bidirectional" else 1
    G = {"LSTM": 4, "GRU": 3, "RNN": 1}[operator]
    inputs = {
        "X": random((T, B, I), seed=1),
        "W": random((D, G * H, I), seed=2, scale=0.5 * scale),
        "R": random((D, G * H, H), seed=3, scale=0.4 * scale),
        "B": random((D, 2 * G * H), seed=4, scale=0.3),
        "sequence_lens": np.array([7, 4, 6], np.int32),
        "initial_h": random((D, B, H), seed=5, scale=0.5),
    }
    if operator == "LSTM":
        inputs["initial_c"] = random((D, B, H), seed=6, scale=0.5)
        if peephole:
            inputs["P"] = random((D, 3 * H), seed=7, scale=0.5)
    if "activations" in attributes:
        attributes["activations"] = attributes["activations"] * D
        for name in ("activation_alpha", "activation_beta"):
            if name in attributes:
                attributes[name] = attributes[name] * D
    return Node(operator, {"hidden_size": H, **attributes}, inputs)


def by_runtime(node: Node) -> dict[str, Array]:
    runtime = pytest.importorskip("onnxruntime")
    names = NAMES[node.operator]
    made = onnx.helper.make_node(
        node.operator,
        [name if name in node.inputs else "" for name in names],
        list(OUTPUTS[node.operator]),
        **node.attributes,
    )
    D = len(node.inputs["R"])
    shapes = {"Y": (T, D, B, H), "Y_h": (D, B, H), "Y_c": (D, B, H)}
    kinds = {name: onnx.helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in node.inputs.items()}
    graph = onnx.helper.make_graph(
        [made],
        "one",
        [onnx.helper.make_tensor_value_info(name, kinds[name], node.inputs[name].shape) for name in kinds],
        [onnx.helper.make_tensor_value_info(name, 1, shapes[name]) for name in OUTPUTS[node.operator]],
    )
    opsets = [onnx.helper.make_opsetid("", 14)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return dict(zip(OUTPUTS[node.operator], session.run(None, node.inputs), strict=True))


def assert_as_runtime(node: Node) -> None:
    expected = by_runtime(node)
    found = run(node)
    assert set(found) == set(expected)
    for name, array in expected.items():
        scale = max(1.0, float(np.abs(array).max()))
        np.testing.assert_allclose(found[name] / scale, array / scale, rtol=0, atol=2e-6, err_msg=name)


DIRECTIONS = ("forward", "reverse", "bidirectional")


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("clip", [None, 0.3])
@pytest.mark.parametrize("operator", ["LSTM", "RNN"])
def test_directions_and_clips(operator: str, clip: float | None, direction: str) -> None:
    clipped: dict[str, Any] = {} if clip is None else {"clip": clip}
    assert_as_runtime(node_of(operator, direction=direction, **clipped))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("clip", [None, 0.3])
@pytest.mark.parametrize("linear_before_reset", [0, 1])
def test_grus(linear_before_reset: int, clip: float | None, direction: str) -> None:
    clipped: dict[str, Any] = {} if clip is None else {"clip": clip}
    assert_as_runtime(node_of("GRU", direction=direction, linear_before_reset=linear_before_reset, **clipped))


@pytest.mark.parametrize(
    ("peephole", "input_forget", "clip"), [*itertools.product((False, True), (0, 1), (None, 0.3))]
)
def test_peepholes_and_coupled_gates(peephole: bool, input_forget: int, clip: float | None) -> None:
    clipped: dict[str, Any] = {} if clip is None else {"clip": clip}
    assert_as_runtime(node_of("LSTM", peephole=peephole, input_forget=input_forget, **clipped))


# Without numbers, those for which the operators of these names have defaults, but ThresholdedRelu: ONNX
# Runtime takes 0 for its alpha instead of 1 (and for those of Affine and ScaledTanh). Ours asks for one.
ACTIVATIONS: tuple[tuple[str, float | None, float | None], ...] = (
    ("Tanh", None, None),
    ("Sigmoid", None, None),
    ("Relu", None, None),
    ("Affine", 0.7, 0.2),
    ("LeakyRelu", 0.1, None),
    ("LeakyRelu", None, None),
    ("ThresholdedRelu", 0.3, None),
    ("ScaledTanh", 1.3, 0.6),
    ("HardSigmoid", 0.3, 0.4),
    ("HardSigmoid", None, None),
    ("Elu", 0.8, None),
    ("Elu", None, None),
    ("Softsign", None, None),
    ("Softplus", None, None),
)


@pytest.mark.parametrize(("name", "alpha", "beta"), ACTIVATIONS)
@pytest.mark.parametrize("operator", ["LSTM", "GRU", "RNN"])
def test_activations(operator: str, name: str, alpha: float | None, beta: float | None) -> None:
    """In each place where a gate has one, beside the usual ones."""
    usual = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}[operator]
    for place in range(len(usual)):
        functions = [*usual]
        functions[place] = name
        attributes: dict[str, Any] = {"activations": functions}
        if alpha is not None:
            attributes["activation_alpha"] = [alpha]
        if beta is not None:
            attributes["activation_beta"] = [beta]
        assert_as_runtime(node_of(operator, scale=0.5, **attributes))
