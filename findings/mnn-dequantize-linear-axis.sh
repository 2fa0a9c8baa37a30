#!/usr/bin/env bash
# MNN 3.6.1, converting ONNX with its own converter: DequantizeLinear takes the scales of axis 0 (one for each row, as
# quantisers write them for the weights of a Conv, a Gemm with transB or a recurrent node) for those of axis 1, without an
# error. Seen with onnx 1.23.2, opset 13, an int8 weight of 4 x 4: y = x + DequantizeLinear(W, s, axis=0) comes out as
# x + W * s, with a scale for each column; with axis=1 the same model is right, and ONNX Runtime 1.32.0 is right with both.
# A Cast and a Mul in place of DequantizeLinear are right in MNN, too.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy onnx==1.23.2 onnxruntime==1.32.0 MNN==3.6.1

cd "$folder"
venv/bin/python - > out.txt <<'PYTHON'
import sys

import _tools
import MNN.expr as expr
import MNN.nn
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

draw = np.random.default_rng(0)
x = draw.standard_normal((4, 4)).astype(np.float32)
W = draw.integers(-127, 128, (4, 4)).astype(np.int8)
s = np.array([0.01, 0.1, 0.3, 1], np.float32)


def model_of(nodes, scale):
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (4, 4)) for name in ("x", "y")]
    constants = [numpy_helper.from_array(W, "W"), numpy_helper.from_array(scale, "s")]
    add = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph([*nodes, add], "graph", value[:1], value[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def by_mnn(model):
    onnx.save(model, "model.onnx")
    files = ["--modelFile", "model.onnx", "--MNNModel", "model.mnn"]
    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", *files, "--bizCode", "one"])
    module = MNN.nn.load_module_from_file("model.mnn", ["x"], ["y"])
    (y,) = module.forward([expr.const(x.ravel().tolist(), [4, 4], expr.NCHW, expr.float)])
    return np.array(y.read())


def by_runtime(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def off(found, expected):
    return float(np.abs(found - expected).max())


def dequantized(axis):
    return model_of([helper.make_node("DequantizeLinear", ["W", "s"], ["w"], axis=axis)], s)


by_rows, by_columns = x + W * s[:, None], x + W * s
nodes = [
    helper.make_node("Cast", ["W"], ["whole"], to=TensorProto.FLOAT),
    helper.make_node("Mul", ["whole", "s"], ["w"]),
]
product = model_of(nodes, s[:, None])
found = {
    "axis=0, MNN": off(by_mnn(dequantized(0)), by_rows),
    "axis=0, MNN, from what axis=1 would be": off(by_mnn(dequantized(0)), by_columns),
    "axis=1, MNN": off(by_mnn(dequantized(1)), by_columns),
    "Cast and Mul, MNN": off(by_mnn(product), by_rows),
    "axis=0, ONNX Runtime": off(by_runtime(dequantized(0)), by_rows),
    "axis=1, ONNX Runtime": off(by_runtime(dequantized(1)), by_columns),
}
for name, error in found.items():
    print(f"stated: {name}: off by {error:.2g}", file=sys.stderr)
wrong, *right = found.values()
sys.exit(0 if wrong > 10 and max(right) < 1e-4 else "this is no longer so")
PYTHON
