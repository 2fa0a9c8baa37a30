#!/usr/bin/env bash
# onnx 1.23.2, the standard's own reference in Python (onnx.reference.ReferenceEvaluator): LSTM and GRU, opset 14. Seen, without an
# error: clip, activations (Relu for the candidate), sequence_lens and LSTM's input_forget change nothing, the outputs have the
# same bits as without; ONNX Runtime 1.32.0 computes all of them, and agrees with the reference on the plain node to 1e-6. So what
# the reference says of such a node is no test of an engine.
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
from onnx.reference import ReferenceEvaluator

GATES = {"GRU": 3, "LSTM": 4}
ACTIVATIONS = {"GRU": ["Sigmoid", "Relu"], "LSTM": ["Sigmoid", "Relu", "Tanh"]}
T, B, I, H = 5, 2, 3, 4


def outputs(operator, lengths=False, **attributes):
    """Y of a node by the reference and by ONNX Runtime."""
    G = GATES[operator]
    rng = np.random.default_rng(0)
    given = {"X": rng.standard_normal((T, B, I)).astype(np.float32)}
    weights = {
        "W": rng.uniform(-1, 1, (1, G * H, I)),
        "R": rng.uniform(-1, 1, (1, G * H, H)),
        "B": rng.uniform(-1, 1, (1, 2 * G * H)),
    }
    names = ["X", *weights]
    kinds = {"sequence_lens": TensorProto.INT32}
    if lengths:
        names.append("sequence_lens")
        given["sequence_lens"] = np.array([T, 2], np.int32)
    node = helper.make_node(operator, names, ["Y"], hidden_size=H, **attributes)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), a.shape) for name, a in given.items()],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, (T, 1, B, H))],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return ReferenceEvaluator(model).run(["Y"], given)[0], session.run(["Y"], given)[0]


same = True
for operator in GATES:
    plain, by_runtime = outputs(operator)
    print(f"{operator}: the reference is {np.abs(plain - by_runtime).max():.2g} from ONNX Runtime")
    same &= bool(np.abs(plain - by_runtime).max() < 1e-6)
    cases = {
        "clip": {"clip": 0.2},
        "activations": {"activations": ACTIVATIONS[operator]},
        "sequence_lens": {"lengths": True},
    }
    if operator == "LSTM":
        cases["input_forget"] = {"input_forget": 1}
    for name, options in cases.items():
        found, by_runtime = outputs(operator, **options)
        unchanged, off = np.array_equal(found, plain), float(np.abs(found - by_runtime).max())
        print(f"{operator} with {name}: the reference's bits are unchanged: {unchanged}; from ONNX Runtime: {off:.2g}")
        same &= unchanged and off > 0.02
sys.exit(0 if same else "this is no longer so")
PYTHON
