#!/usr/bin/env bash
# PyTorch 2.13.0, torch.onnx.export(dynamo=True) with onnxscript 0.7.2, run by ONNX Runtime 1.32.0: a recurrent module
# exported with time and batch dynamic (Dim.AUTO) has a dynamic time axis at its input, but the number of steps that it
# was exported with inside. Seen, exported at T=7 and B=3, all of it after an export without an error:
#   nn.RNN   T=9: no error, and the first 7 of 9 steps come back, the last state being that of step 7; T=5: an error
#   nn.LSTM  T=5 and T=9: an error from a Reshape to 7 steps; another B is right; T times B a multiple of
#            7 (T=14, B=3; T=3, B=14): no error, and [7, 6, H] comes back, the right numbers as 7 steps of 6 rows
#   nn.GRU   the same as nn.LSTM
#   nn.LSTM(proj_size=2): an error at T=7 and B=3 themselves (ONNX's LSTM has no projection)
# With dynamo=False the same RNN, LSTM and GRU are right at every T and B. So a model that is to take sequences of any
# length is to be exported with dynamo=False, or tried at another length afterwards.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy onnx==1.23.2 onnx-ir==1.1.0 onnxscript==0.7.2 onnxruntime==1.32.0

cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import contextlib
import io
import sys

import numpy as np
import onnxruntime
import torch

DYNAMIC = torch.export.Dim.AUTO


class Outputs(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)


def exported(model, dynamo):
    x = torch.randn(7, 3, 4)
    how = {"dynamic_axes": {"x": {0: "T", 1: "B"}}, "input_names": ["x"]}
    if dynamo:
        how = {"dynamic_shapes": ({0: DYNAMIC, 1: DYNAMIC},)}
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(model, (x,), "model.onnx", dynamo=dynamo, **how)
    return onnxruntime.InferenceSession("model.onnx")


def outcome(session, model, steps, rows):
    x = torch.randn(steps, rows, 4)
    with torch.no_grad():
        y, end = model(x)
    try:
        found = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    except Exception:
        return "error"
    if found.shape == y.shape:
        return "right" if np.abs(found - y.numpy()).max() < 1e-5 else "wrong"
    if found.size == y.numel() and np.abs(found.ravel() - y.numpy().ravel()).max() < 1e-5:
        return "mixed up"
    short = len(found) == 7 and np.abs(found - y[:7].numpy()).max() < 1e-5
    return "first 7 steps" if short else "wrong"


SIZES = [(7, 3), (7, 5), (5, 3), (9, 3), (14, 3), (3, 14)]
EXPECTED = {
    ("RNN", True): ["right", "right", "error", "first 7 steps", "first 7 steps", "error"],
    ("LSTM", True): ["right", "right", "error", "error", "mixed up", "mixed up"],
    ("GRU", True): ["right", "right", "error", "error", "mixed up", "mixed up"],
    ("LSTM, projected", True): ["error"] * 6,
    ("RNN", False): ["right"] * 6,
    ("LSTM", False): ["right"] * 6,
    ("GRU", False): ["right"] * 6,
}
LAYERS = {
    "RNN": lambda: torch.nn.RNN(4, 6),
    "LSTM": lambda: torch.nn.LSTM(4, 6),
    "GRU": lambda: torch.nn.GRU(4, 6),
    "LSTM, projected": lambda: torch.nn.LSTM(4, 6, proj_size=2),
}
same = True
for (name, dynamo), expected in EXPECTED.items():
    torch.manual_seed(0)
    model = Outputs(LAYERS[name]()).eval()
    session = exported(model, dynamo)
    found = [outcome(session, model, *size) for size in SIZES]
    print(f"{name}, dynamo={dynamo}:", dict(zip(SIZES, found)))
    same &= found == expected
sys.exit(0 if same else "this has changed")
PYTHON
