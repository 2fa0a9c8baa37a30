#!/usr/bin/env bash
# ONNX Runtime 1.32.0 (CPU) with onnx 1.23.2: LSTM and GRU, opset 14, float32, an input with a NaN at one step. Seen, without an
# error: with a bias B, of zeros too, every output is a number, at that step and after it; without B, which is the same node,
# the outputs are NaN from that step on, and so are RNN's with and without. So a broken input does not show in what the
# model says, where it has biases, as nearly all have.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy onnx==1.23.2 onnxruntime==1.32.0

cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
T, I, H = 4, 2, 5


def outputs(operator, bias):
    """Y of a node, [T, H], whose input has a NaN at step 1; bias: whether it has a B, of zeros."""
    G = GATES[operator]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((T, 1, I)).astype(np.float32)
    x[1, 0, 0] = np.nan
    weights = {"W": rng.uniform(-1, 1, (1, G * H, I)), "R": rng.uniform(-1, 1, (1, G * H, H))}
    if bias:
        weights["B"] = np.zeros((1, 2 * G * H))
    node = helper.make_node(operator, ["X", *weights], ["Y"], hidden_size=H)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, (T, 1, 1, H))],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"X": x})[0][:, 0, 0]


same = True
for operator in GATES:
    for bias in (False, True):
        found = np.isnan(outputs(operator, bias)).sum(1).tolist()
        lost = bias and operator != "RNN"
        same &= found == ([0] * T if lost else [0, *[H] * (T - 1)])
        print(f"{operator} {'with' if bias else 'without'} B: NaN among the {H} outputs of each step: {found}")
sys.exit(0 if same else "this is no longer so")
PYTHON
