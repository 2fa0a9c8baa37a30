"""Layers from nodes: every attribute, every input, as the standard and ONNX Runtime read them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import lstmfast
import lstmfast.onnx

from ..helpers import Array, assert_same_bits
from ..onnx_nodes import Node, layer_of, run
from .helpers import H, I, activations, helper, made, model_of, node_of, nodes, numpy_helper, run_by_runtime


def only(model: Any) -> Any:
    """The one layer of a model."""
    found = lstmfast.onnx.layers(model)
    assert list(found) == ["node"]
    return found["node"]


def assert_like(layer: Any, node: Node) -> None:
    """Compare with the layer that the tests' own reading makes of the node."""
    expected = layer_of(node)
    assert type(layer) is type(expected)
    assert repr(layer) == repr(expected)
    assert_same_bits(dict(layer.parameters), dict(expected.parameters))


@settings(max_examples=150)
@given(nodes())
def test_every_node(node: Node) -> None:
    if node.inputs["W"].dtype == np.float64:  # an attribute is a float32, which such a layer takes as it is
        for name in ("clip", "activation_alpha", "activation_beta"):
            if name in node.attributes:
                rounded = np.float32(node.attributes[name]).astype(np.float64).tolist()
                node.attributes[name] = rounded
    assert_like(only(model_of(node)), node)


@pytest.mark.parametrize("opset", [7, 9, 12, 13, 14, 17, 21, 22])
@pytest.mark.parametrize("operator", ["LSTM", "GRU", "RNN"])
def test_opsets(operator: str, opset: int) -> None:
    node = node_of(operator, direction="bidirectional")
    assert_like(only(model_of(node, opset=opset)), node)


@pytest.mark.parametrize("operator", ["LSTM", "GRU", "RNN"])
def test_without_hidden_size(operator: str) -> None:
    node = node_of(operator)
    model = model_of(node)
    (attribute,) = model.graph.node[0].attribute
    model.graph.node[0].attribute.remove(attribute)
    assert_like(only(model), node)


def test_names_of_functions_in_any_case() -> None:
    node = node_of("LSTM", activations=["hardsigmoid", "TANH", "softSign"])
    assert only(model_of(node)).activations == (("HardSigmoid", 0.2, 0.5), "Tanh", "Softsign")


def test_an_rnn_with_relu_is_the_plain_one() -> None:
    layer = only(model_of(node_of("RNN", activations=["Relu"])))
    assert repr(layer) == f"RNN({I}, {H}, nonlinearity='relu')"


def test_an_rnn_of_one_direction_may_name_two_functions() -> None:
    node = node_of(
        "RNN", **activations([("Softsign", ()), ("Elu", (0.7,))])
    )  # as the operator's default does
    assert only(model_of(node)).activations == ("Softsign",)


def test_numbers_are_those_that_were_written() -> None:
    """And not the decimals of their float32, where it is rounded to that anyway."""
    numbers = activations([("Elu", (0.1,)), ("ScaledTanh", (0.7, 0.3)), ("Tanh", ())])
    layer = only(model_of(node_of("LSTM", clip=0.2, **numbers)))
    assert layer.clip == 0.2
    assert layer.activations == (("Elu", 0.1), ("ScaledTanh", 0.7, 0.3), "Tanh")
    layer = only(model_of(node_of("LSTM", clip=0.2, dtype="float64")))
    assert layer.clip == float(np.float32(0.2)) != 0.2


# Against ONNX Runtime: what it does where the standard leaves it open.


def assert_as_runtime(node: Node) -> None:
    model = model_of(node)
    found = run(node)
    expected = run_by_runtime(model, node.inputs)
    layer = only(model)
    state: Any = tuple(node.inputs[name] for name in ("initial_h", "initial_c") if name in node.inputs)
    y, _ = layer(node.inputs["X"], state if node.operator == "LSTM" else state[0])
    raw = y.reshape(*y.shape[:2], -1, H).swapaxes(1, 2)
    np.testing.assert_allclose(raw, expected[0], rtol=0, atol=2e-6)
    np.testing.assert_allclose(found["Y"], expected[0], rtol=0, atol=2e-6)


@pytest.mark.parametrize("operator", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(
    "function", ["Affine", "ScaledTanh", "ThresholdedRelu", "HardSigmoid", "LeakyRelu", "Elu"]
)
def test_functions_without_numbers(operator: str, function: str) -> None:
    """Some are then constantly zero: it is what ONNX Runtime computes."""
    runtime = pytest.importorskip("onnxruntime")
    if operator == "RNN" and tuple(map(int, runtime.__version__.split(".")[:2])) < (1, 32):
        pytest.skip("all are then constantly zero in this version's RNN")
    names = {"LSTM": ["Sigmoid", function, "Tanh"], "GRU": ["Sigmoid", function], "RNN": [function]}[operator]
    node = node_of(operator, activations=names)
    layer = only(model_of(node))
    numbers = {"HardSigmoid": (0.2, 0.5), "LeakyRelu": (0.01,), "Elu": (1.0,), "ThresholdedRelu": (0.0,)}
    expected = (function, *numbers.get(function, (0.0, 0.0)))
    assert layer.activations[-2 if operator == "LSTM" else -1] == expected
    state: Any = tuple(node.inputs[name] for name in ("initial_h", "initial_c") if name in node.inputs)
    y, _ = layer(node.inputs["X"], state if operator == "LSTM" else state[0])
    (given, *_) = run_by_runtime(model_of(node), node.inputs)
    np.testing.assert_allclose(y.reshape(given.shape), given, rtol=0, atol=2e-6)


def test_numbers_are_dealt_out_in_order() -> None:
    """Of three functions the first takes no alpha, the second the only one, and the third has its own."""
    node = node_of("LSTM", activations=["Sigmoid", "LeakyRelu", "Elu"], activation_alpha=[0.3])
    assert only(model_of(node)).activations == ("Sigmoid", ("LeakyRelu", 0.3), ("Elu", 1.0))
    assert_as_runtime(node)
    # One for each, as some write it: the Sigmoid does not take the first.
    node = node_of("LSTM", activations=["Sigmoid", "LeakyRelu", "Elu"], activation_alpha=[0.9, 0.3, 0.6])
    assert only(model_of(node)).activations == ("Sigmoid", ("LeakyRelu", 0.9), ("Elu", 0.3))
    assert_as_runtime(node)


def test_coupled_gates_leave_the_forget_gate_out() -> None:
    node = node_of("LSTM", input_forget=1, peephole=True)
    before = only(model_of(node))
    for name, blocks in (("W", 4), ("R", 4), ("B", 8), ("P", 3)):  # f is the third of four, or of three
        parts = np.split(node.inputs[name], blocks, axis=1)
        for place in range(2, blocks, 4):
            parts[place] = np.full_like(parts[place], 9)
        node.inputs[name] = np.concatenate(parts, axis=1)
    assert_same_bits(dict(only(model_of(node)).parameters), dict(before.parameters))
    assert_as_runtime(node)


# Inputs.


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_sixteen_bits_are_widened(kind: str) -> None:
    """All numbers that there are, but NaN, of which there are many."""
    bits = np.arange(1 << 16, dtype=np.uint16)
    if kind == "float16":
        numbers = bits.view(np.float16).astype(np.float32)
    else:
        numbers = (bits.astype(np.uint32) << 16).view(np.float32)
    width = 1 << 12  # 4 * 4 rows
    node = Node("LSTM", {"hidden_size": 4}, {"W": np.zeros((1, 16, width), np.float32)})
    shape = (1, 16, width)
    element = {"float16": 10, "bfloat16": 16}[kind]
    tensors = [
        helper.make_tensor("W", element, shape, bits.tobytes(), raw=True),
        helper.make_tensor("R", element, (1, 16, 4), bytes(2 * 64), raw=True),
    ]
    graph = helper.make_graph([made(node, R="R", X="X")], "graph", [], [], tensors)
    graph.output.append(helper.make_tensor_value_info("Y", element, None))
    layer = only(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)]))
    expected = numbers.reshape(4, 4, width)[[0, 2, 3, 1]].reshape(16, width)
    found = layer.parameters["weight_ih_l0"]
    assert found.dtype == np.float32
    there = ~np.isnan(expected)
    assert_same_bits(found[there], expected[there])
    assert (np.isnan(found) == np.isnan(expected)).all()


def test_nodes_that_share_weights_are_one_layer() -> None:
    node = node_of("LSTM")
    model = model_of(node)
    for number in range(3):
        copy = made(node, name=f"more_{number}", **({"W": "W2"} if number == 2 else {}))
        del copy.output[:]
        copy.output.append(f"Y{number}")
        model.graph.node.append(copy)
    model.graph.initializer.append(numpy_helper.from_array(node.inputs["W"] + 1, "W2"))
    model.graph.node[2].attribute.append(helper.make_attribute("clip", 1.0))
    found = lstmfast.onnx.layers(model)
    assert found["more_0"] is found["node"]
    assert found["more_1"] is not found["node"]
    assert found["more_2"] is not found["node"]
    assert found["more_1"].clip == 1


def test_layers_are_read_from_files_bytes_and_models(tmp_path: Any) -> None:
    node = node_of("GRU", linear_before_reset=1)
    model = model_of(node)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    before = model.SerializeToString(deterministic=True)
    for given_as in (path, str(path), path.read_bytes(), bytearray(path.read_bytes()), model):
        assert_like(only(given_as), node)
    assert model.SerializeToString(deterministic=True) == before


def test_a_layer_that_was_read_trains_and_copies() -> None:
    layer = only(model_of(node_of("LSTM", peephole=True, clip=1.0, direction="reverse")))
    x: Array = np.ones((4, 2, I), np.float32)
    y, _, tape = layer.forward(x)
    layer.update({name: -array for name, array in layer.backward(tape, y).parameters.items()})
    assert not np.array_equal(layer(x)[0], y)
