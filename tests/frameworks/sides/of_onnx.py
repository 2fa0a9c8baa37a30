"""ONNX's operators, as ONNX Runtime computes them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..outcomes import B, H, I, Outcome, T, inputs, random_like

NEEDS = ("onnx", "onnxruntime")
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def _node(kind: str, D: int = 1, bias: bool = True, peepholes: bool = False, **attributes: Any) -> Outcome:
    onnx: Any = importlib.import_module("onnx")
    onnxruntime: Any = importlib.import_module("onnxruntime")
    helper: Any = onnx.helper
    FLOAT = onnx.TensorProto.FLOAT

    G = _GATES[kind]
    shapes: dict[str, tuple[int, ...]] = {"W": (D, G * H, I), "R": (D, G * H, H)}
    if bias:
        shapes["B"] = (D, 2 * G * H)
    if peepholes:
        shapes["P"] = (D, 3 * H)
    arrays = dict(zip(shapes, random_like(shapes.values()), strict=True))
    names = ["x", "W", "R", "B" if bias else "", *(("", "", "", "P") if peepholes else ())]
    node = helper.make_node(
        kind, names, ["y"], hidden_size=H, direction="bidirectional" if D == 2 else "forward", **attributes
    )
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("x", FLOAT, (T, B, I))],
        [helper.make_tensor_value_info("y", FLOAT, (T, D, B, H))],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = inputs()
    (y,) = session.run(None, {"x": x})
    y = y.transpose(0, 2, 1, 3).reshape(T, B, D * H)
    ours = (
        {"reset_after": attributes["linear_before_reset"] == 1} if "linear_before_reset" in attributes else {}
    )
    versions = {"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__}
    return Outcome(kind, "onnx", arrays, x, np.ascontiguousarray(y), options=ours, versions=versions)


CASES: dict[str, Callable[[], Outcome]] = {
    "LSTM": partial(_node, "LSTM"),
    "LSTM without biases": partial(_node, "LSTM", bias=False),
    "LSTM peepholes": partial(_node, "LSTM", peepholes=True),
    "LSTM both ways": partial(_node, "LSTM", 2, peepholes=True),
    "GRU": partial(_node, "GRU"),
    "GRU after": partial(_node, "GRU", linear_before_reset=1),
    "GRU both ways": partial(_node, "GRU", 2),
    "RNN": partial(_node, "RNN"),
}
