#!/usr/bin/env bash
# Keras 3.15.1 on PyTorch 2.13.0: model.export(path, format="onnx") of a recurrent layer whose input has any number of
# steps, keras.Input((None, 4)), writes a model of one single step, without an error. The file's input has a free time axis;
# it reads the first step and leaves the others. With return_sequences=False, as in every classifier, the result has the
# right shape, too. Seen with onnx 1.23.2, onnxscript 0.7.2 and ONNX Runtime 1.32.0 for LSTM and GRU: a sequence of 6 steps
# gives what its first step alone gives, to 1e-6, and not what Keras gives. (SimpleRNN's file cannot be run with 6 steps: an
# error from a Split.) Exported with keras.Input((6, 4)) the same layers are right.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy torch==2.13.0 keras==3.15.1 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0

cd "$folder"
KERAS_BACKEND=torch venv/bin/python -W ignore - <<'PYTHON'
import sys

import keras
import numpy as np
import onnxruntime

x = np.random.default_rng(0).standard_normal((3, 6, 4)).astype(np.float32)


def off(kind, steps):
    """How far ONNX Runtime's result is from Keras's of all steps, and from Keras's of the first one."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((steps, 4)), getattr(keras.layers, kind)(5)])
    whole = model.predict_on_batch(x)
    first = model.layers[0](x[:, :1]).detach().cpu().numpy()
    model.export("model.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession("model.onnx")
    (given,) = session.get_inputs()
    (found,) = session.run(None, {given.name: x})
    assert found.shape == whole.shape
    errors = float(np.abs(found - whole).max()), float(np.abs(found - first).max())
    print(f"{kind}, input {given.shape}: off by {errors[0]:.2g} from all steps, {errors[1]:.2g} from the first")
    return errors


for kind in ("LSTM", "GRU"):
    all_steps, first_step = off(kind, None)
    if not (all_steps > 0.05 and first_step < 1e-6 and off(kind, 6)[0] < 1e-6):
        sys.exit("this is no longer so")
print("as stated")
PYTHON
