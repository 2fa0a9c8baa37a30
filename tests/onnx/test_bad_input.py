"""What is no model, or one with nodes that no layer can be: errors that name what, and change nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast
import lstmfast.onnx

from .helpers import H, I, helper, model_of, node_of, onnx

READERS: tuple[Callable[[Any], Any], ...] = (
    lstmfast.onnx.layers,
    lambda model: lstmfast.onnx.replace(model, {"node": lstmfast.LSTM(I, H)}),
)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("model", [None, 3, ["model.onnx"], lstmfast.LSTM(2, 3), np.zeros(3)])
def test_what_is_no_model(model: Any, read: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"^model: expected a path, bytes or an onnx\.ModelProto, got "):
        read(model)


@pytest.mark.parametrize("read", READERS)
def test_what_is_no_file(read: Callable[[Any], Any], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.onnx")
    with pytest.raises(IsADirectoryError):
        read(tmp_path)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "data", [b"", b"no model at all", b"\x00" * 100, b"\x08\x07", b"PK\x03\x04", bytes(range(256))]
)
def test_what_is_another_file(data: bytes, read: Callable[[Any], Any], tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"model\.onnx: expected an ONNX model"):
        read(path)
    with pytest.raises(ValueError, match=r"^model: expected an ONNX model"):
        read(data)


def test_files_that_are_cut_short(tmp_path: Path) -> None:
    """At each of many places: an error, and never layers."""
    data = model_of(node_of("LSTM")).SerializeToString()
    for end in [*range(0, len(data), 37), len(data) - 1]:
        with pytest.raises(ValueError, match=r"expected "):
            lstmfast.onnx.layers(data[:end])


def test_a_model_of_nothing() -> None:
    with pytest.raises(ValueError, match=r"^model: expected an ONNX model, got one without a graph$"):
        lstmfast.onnx.layers(onnx.ModelProto())


# Nodes.


def assert_refused(model: Any, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^node 'node' \(\w+\): {message}"):
        lstmfast.onnx.layers(model)


def test_activations_that_differ_between_directions() -> None:
    names = ["Sigmoid", "Tanh", "Tanh", "Sigmoid", "Tanh", "Relu"]
    model = model_of(node_of("LSTM", direction="bidirectional", activations=names))
    assert_refused(model, "expected the same activations in both directions, got ")
    numbers: Any = {"activations": ["Elu", "Elu"], "activation_alpha": [0.5]}  # the other one's is 1
    model = model_of(node_of("RNN", direction="bidirectional", **numbers))
    assert_refused(
        model, r"expected the same activations in both directions, got \[\('Elu', 0.5\), \('Elu', 1.0\)\]"
    )


@pytest.mark.parametrize(
    ("operator", "attributes", "message"),
    [
        (
            "LSTM",
            {"activations": ["Sigmoid", "Tanh"]},
            r"expected 3 activations, got 2: \['Sigmoid', 'Tanh'\]",
        ),
        ("GRU", {"activations": ["Sigmoid"] * 6}, "expected 2 activations, got 6"),
        (
            "RNN",
            {"activations": ["Gelu"]},
            r"activations\[0\]: expected one of Tanh, Sigmoid, .*, got 'Gelu'",
        ),
        (
            "RNN",
            {"activations": ["Elu"], "activation_alpha": [np.inf]},
            r"activations\[0\]: expected finite numbers",
        ),
        (
            "LSTM",
            {"direction": "backward"},
            "expected direction forward, reverse or bidirectional, got 'backward'",
        ),
        ("LSTM", {"clip": -1.0}, r"clip: expected None or a positive, finite number of float32, got -1\.0"),
        ("LSTM", {"clip": 0.0}, "clip: expected None or a positive"),
        ("LSTM", {"clip": 1}, "expected the attribute clip of type FLOAT"),
        ("LSTM", {"direction": 1}, "expected the attribute direction of type STRING"),
        ("LSTM", {"activations": [1, 2, 3]}, "expected the attribute activations of type STRINGS"),
        ("RNN", {"activation_alpha": 1.0}, "expected the attribute activation_alpha of type FLOATS"),
        ("GRU", {"linear_before_reset": "yes"}, "expected the attribute linear_before_reset of type INT"),
    ],
)
def test_wrong_attributes(operator: str, attributes: dict[str, Any], message: str) -> None:
    assert_refused(model_of(node_of(operator, **attributes)), message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W": (1, 4 * H, 0)}, r"expected W of shape \(1, 20, 0\), "),
        ({"W": (4 * H, I)}, r"expected W with three axes, got shape \(20, 4\)"),
        (
            {"W": (2, 4 * H, I)},
            r"expected W of shape \(1, 20, 4\), for 1 directions, 4 gates, 4 inputs and 5 un",
        ),
        ({"W": (1, 3 * H, I)}, r"expected W of shape \(1, 20, 4\), .*, got \(1, 15, 4\)"),
        ({"R": (1, 4 * H, H - 1)}, r"expected R of shape \(1, 20, 5\), .*, got \(1, 20, 4\)"),
        ({"B": (1, 4 * H)}, r"expected B of shape \(1, 40\), .*, got \(1, 20\)"),
        ({"P": (1, 2 * H)}, r"expected P of shape \(1, 15\), .*, got \(1, 10\)"),
    ],
)
def test_wrong_shapes(change: dict[str, tuple[int, ...]], message: str) -> None:
    node = node_of("LSTM", peephole=True)
    node.inputs.update({name: np.zeros(shape, np.float32) for name, shape in change.items()})
    assert_refused(model_of(node), message)


def test_a_hidden_size_that_weights_do_not_have() -> None:
    assert_refused(model_of(node_of("LSTM", hidden_size=7)), r"expected W of shape \(1, 28, 4\), ")


def test_weights_of_several_kinds_or_of_none() -> None:
    node = node_of("LSTM")
    node.inputs["R"] = node.inputs["R"].astype(np.float64)
    assert_refused(model_of(node), "expected weights of one kind of floats, got float32, float64")
    node = node_of("LSTM", bias=False)
    for name in ("W", "R"):
        node.inputs[name] = (100 * node.inputs[name]).astype(np.int8)
    assert_refused(model_of(node), "expected weights of one kind of floats, got int8")


@pytest.mark.parametrize("name", ["W", "R"])
def test_no_weights(name: str) -> None:
    model = model_of(node_of("LSTM"))
    model.graph.node[0].input[1 if name == "W" else 2] = ""
    assert_refused(model, f"expected {name}, got none")
    del model.graph.node[0].input[1:]
    assert_refused(model, "expected W, got none")


def test_a_tensor_that_is_cut_short() -> None:
    model = model_of(node_of("LSTM"))
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-4]
    assert_refused(model, "expected W to be a constant, but 'W' is no whole tensor: ")
    model.graph.initializer[0].CopyFrom(helper.make_tensor("W", onnx.TensorProto.STRING, [1], ["a"]))
    assert_refused(model, "expected weights of one kind of floats, got float32, ")


def test_an_attribute_of_a_function_that_nobody_gave() -> None:
    model = model_of(node_of("LSTM"))
    attribute = helper.make_attribute("hidden_size", 5)
    attribute.ref_attr_name, attribute.type = "size", 0
    model.graph.node[0].attribute[0].CopyFrom(attribute)
    assert_refused(model, "expected the attribute hidden_size of type INT")
