"""ONNX' operators in ONNX Runtime, one node a model: float32, forward alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .helpers import Call, H, I, Result, Tree, prove, randomised

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def run(kind: str, attributes: dict[str, Any], arrays: Tree, call: Call) -> Result:
    """Run a node whose weights are constants of the model."""
    names = ["X", "W", "R", "B", "", "initial_h", *(["initial_c", "P"] if kind == "LSTM" else [])]
    outputs = ["Y", "Y_h", *(["Y_c"] if kind == "LSTM" else [])]
    fed = dict(zip(("X", "initial_h", "initial_c"), (call.x, *call.state), strict=False))
    names = [name if name in fed or name in arrays else "" for name in names]
    while not names[-1]:
        names.pop()
    floats, helper = onnx.TensorProto.FLOAT, onnx.helper
    node = helper.make_node(kind, names, outputs, hidden_size=arrays["R"].shape[2], **attributes)
    graph = helper.make_graph(
        [node],
        "node",
        [helper.make_tensor_value_info(name, floats, array.shape) for name, array in fed.items()],
        [helper.make_tensor_value_info(name, floats, [None] * (4 if name == "Y" else 3)) for name in outputs],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    y, *state = session.run(None, fed)
    return Result(y.swapaxes(1, 2).reshape(*y.shape[:1], y.shape[2], -1), tuple(state))


def numbers(kind: str, D: int, peepholes: bool = False) -> Tree:
    G = GATES[kind]
    shapes: dict[str, tuple[int, ...]] = {"W": (D, G * H, I), "R": (D, G * H, H), "B": (D, 2 * G * H)}
    if peepholes:
        shapes["P"] = (D, 3 * H)
    return randomised({name: np.empty(shape) for name, shape in shapes.items()}, "float32")


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_lstm_and_rnn(kind: str, direction: str) -> None:
    arrays = numbers(kind, 2 if direction == "bidirectional" else 1)
    prove(kind, "onnx", arrays, lambda *asked: run(kind, {"direction": direction}, *asked), dtype="float32")


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_peepholes(direction: str) -> None:
    arrays = numbers("LSTM", 2 if direction == "bidirectional" else 1, peepholes=True)
    prove(
        "LSTM", "onnx", arrays, lambda *asked: run("LSTM", {"direction": direction}, *asked), dtype="float32"
    )


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("after", [False, True])
def test_gru(after: bool, direction: str) -> None:
    attributes = {"direction": direction, "linear_before_reset": int(after)}
    arrays = numbers("GRU", 2 if direction == "bidirectional" else 1)
    prove(
        "GRU",
        "onnx",
        arrays,
        lambda *asked: run("GRU", attributes, *asked),
        dtype="float32",
        reset_after=after,
    )
