#!/usr/bin/env bash
# ONNX Runtime 1.32.0 (CPU) with onnx 1.23.2: RNN, GRU and LSTM, opset 14, with sequence_lens. Seen, without an error: a row
# whose length is 0 has zeros as its last state (Y_h, and Y_c of LSTM), whatever initial state it was given; one of length 1
# beside it is right. So in a batch that is stepped on chunk by chunk with the states of the chunk before, a row that has no
# step in one chunk has lost its state after it, and has to be given it back. (PyTorch's packed sequences refuse length 0;
# Keras with a mask keeps the state.)
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
from onnx import TensorProto, helper

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def last_states(operator, direction):
    """Y_h, and Y_c of LSTM, [D, 2], of rows of lengths 1 and 0 that both begin with 0.7."""
    D, G = 2 if direction == "bidirectional" else 1, GATES[operator]
    arrays = {
        "X": np.full((1, 2, 1), 0.3, np.float32),
        "W": np.full((D, G, 1), 0.5, np.float32),
        "R": np.full((D, G, 1), 0.5, np.float32),
        "sequence_lens": np.array([1, 0], np.int32),
        "initial_h": np.full((D, 2, 1), 0.7, np.float32),
    }
    names = ["X", "W", "R", "", "sequence_lens", "initial_h"]
    outputs = ["Y", "Y_h"]
    if operator == "LSTM":
        arrays["initial_c"] = arrays["initial_h"]
        names, outputs = [*names, "initial_c"], [*outputs, "Y_c"]
    kinds = {"sequence_lens": TensorProto.INT32}
    inputs = [
        helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), array.shape)
        for name, array in arrays.items()
    ]
    results = [helper.make_tensor_value_info("Y", TensorProto.FLOAT, (1, D, 2, 1))]
    results += [helper.make_tensor_value_info(name, TensorProto.FLOAT, (D, 2, 1)) for name in outputs[1:]]
    node = helper.make_node(operator, names, outputs, hidden_size=1, direction=direction)
    graph = helper.make_graph([node], "one", inputs, results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [state[:, :, 0] for state in session.run(outputs[1:], arrays)]


for operator in GATES:
    for direction in ("forward", "reverse", "bidirectional"):
        for name, state in zip(("Y_h", "Y_c"), last_states(operator, direction)):
            print(f"{operator} {direction} {name}: length 1 {state[:, 0]}, length 0 {state[:, 1]}")
            if not (state[:, 0] != 0).all() or not (state[:, 1] == 0).all():
                sys.exit("this is no longer so")
print("as stated")
PYTHON
