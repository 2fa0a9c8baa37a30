#!/usr/bin/env bash
# ONNX's GRU with direction="reverse", and with clip, in three engines: OpenCV 5.0.0 (opencv-python-headless 5.0.0.93, dnn),
# tract 0.23.9 and MNN 3.6.1 load it without an error, and compute the forward node without a clip. Seen with onnx 1.23.2,
# opset 14, T=6, B=1, fixed sizes, the initial state an input, Y and Y_h both used: all three give what ONNX Runtime 1.32.0
# gives for the node without the attribute, to 1e-5, and are off by 0.1 and more from what it gives for the node itself
# (OpenVINO 2026.4.1 agrees with ONNX Runtime). direction="bidirectional", half of which runs in reverse, is right in all.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 \
  opencv-python-headless==5.0.0.93 tract==0.23.9 MNN==3.6.1

cd "$folder"
venv/bin/python - > out.txt <<'PYTHON'
import sys

import _tools
import cv2
import MNN.expr as expr
import MNN.nn
import numpy as np
import onnx
import onnxruntime
import openvino
import tract
from onnx import TensorProto, helper, numpy_helper

T, I, H = 6, 3, 4


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def write(**attributes):
    """Write a model of a GRU; return what it takes."""
    D = 2 if attributes.get("direction") == "bidirectional" else 1
    given = {"x": random(0, T, 1, I), "h": random(1, D, 1, H)}
    weights = {"W": random(2, D, 3 * H, I), "R": random(3, D, 3 * H, H), "B": random(4, D, 6 * H)}
    value = helper.make_tensor_value_info
    names = ["x", "W", "R", "B", "", "h"]
    node = helper.make_node("GRU", names, ["Y", "Y_h"], hidden_size=H, linear_before_reset=1, **attributes)
    graph = helper.make_graph(
        [node],
        "graph",
        [value(name, TensorProto.FLOAT, array.shape) for name, array in given.items()],
        [value("Y", TensorProto.FLOAT, (T, D, 1, H)), value("Y_h", TensorProto.FLOAT, (D, 1, H))],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, "model.onnx")
    return given


def by_runtime(given):
    return onnxruntime.InferenceSession("model.onnx").run(["Y", "Y_h"], given)


def by_openvino(given):
    core = openvino.Core()
    compiled = core.compile_model("model.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(given)
    return [found["Y"], found["Y_h"]]


def by_opencv(given):
    net = cv2.dnn.readNetFromONNX("model.onnx")
    for name, array in given.items():
        net.setInput(array, name)
    return net.forward(["Y", "Y_h"])


def by_tract(given):
    runnable = tract.onnx().load("model.onnx").into_model().into_runnable()
    return [each.to_numpy() for each in runnable.run([given["x"], given["h"]])]


def by_mnn(given):
    files = ["--modelFile", "model.onnx", "--MNNModel", "model.mnn"]
    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", *files, "--bizCode", "one"])
    module = MNN.nn.load_module_from_file("model.mnn", ["x", "h"], ["Y", "Y_h"])
    variables = [
        expr.const(array.ravel().tolist(), list(array.shape), expr.NCHW, expr.float) for array in given.values()
    ]
    return [np.array(each.read()) for each in module.forward(variables)]


def off(found, expected):
    return max(float(np.abs(np.reshape(a, b.shape) - b).max()) for a, b in zip(found, expected))


plain = by_runtime(write())
same = True
for attributes in ({}, {"direction": "reverse"}, {"clip": 0.3}, {"direction": "bidirectional"}):
    ignored = "reverse" in attributes.values() or "clip" in attributes
    for run in (by_openvino, by_opencv, by_tract, by_mnn):
        given = write(**attributes)
        expected = by_runtime(given)
        error = off(run(given), expected)
        text = f"stated: {attributes}, {run.__name__}: off by {error:.2g}"
        if ignored and run is not by_openvino:
            forward = off(run(given), plain)
            text += f"; by {forward:.2g} from the node without it"
            same &= error > 0.1 and forward < 1e-5
        else:
            same &= error < 1e-5
        print(text, file=sys.stderr)
sys.exit(0 if same else "this is no longer so")
PYTHON
