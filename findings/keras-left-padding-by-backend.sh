#!/usr/bin/env bash
# Keras 3.15.1: the same recurrent layer with the same weights, an initial state and a mask whose rows are padded on the left,
# as pad_sequences pads by default, gives other outputs on PyTorch 2.13.0 than on JAX 0.10.2 and NumPy, without a word: at masked
# steps before a row's first one, zeros on PyTorch, the initial h on the others. Seen for LSTM, GRU and SimpleRNN with
# return_sequences; all later outputs agree. Where a row is masked everywhere, the layer's one output (without
# return_sequences) differs likewise, so a model trained on one backend and run on the other is off for empty rows.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy torch==2.13.0 keras==3.15.1 jax==0.10.2

cd "$folder"
cat >padded.py <<'PYTHON'
import sys

import keras
import numpy as np

found = {}
for kind, halves in (("LSTM", 2), ("GRU", 1), ("SimpleRNN", 1)):
    for sequences in (True, False):
        layer = getattr(keras.layers, kind)(2, return_sequences=sequences)
        layer.build((2, 3, 1))
        for k, weight in enumerate(layer.trainable_weights):
            weight.assign(np.random.default_rng(k).standard_normal(weight.shape).astype("float32"))
        x = keras.ops.ones((2, 3, 1))
        state = [keras.ops.convert_to_tensor(np.array([[0.5, -0.5]] * 2, "float32")) for _ in range(halves)]
        mask = keras.ops.convert_to_tensor(np.array([[False, True, True], [False, False, False]]))
        y = keras.ops.convert_to_numpy(layer(x, initial_state=state, mask=mask))
        found[f"{kind} {sequences}"] = y
np.savez(sys.argv[1], **found)
PYTHON
for backend in torch jax numpy; do KERAS_BACKEND=$backend venv/bin/python -W ignore padded.py "$backend.npz"; done
venv/bin/python - <<'PYTHON'
import sys

import numpy as np

torch, jax, numpy = (np.load(f"{name}.npz") for name in ("torch", "jax", "numpy"))
initial = np.array([0.5, -0.5])
for kind in ("LSTM", "GRU", "SimpleRNN"):
    sequences, last = f"{kind} True", f"{kind} False"
    for name, result in (("torch", torch), ("jax", jax), ("numpy", numpy)):
        print(f"{kind} on {name}: step 0 {result[sequences][0, 0]}, of an empty row {result[last][1]}")
    for result, begin in ((torch, 0 * initial), (numpy, initial), (jax, initial)):
        if not ((result[sequences][0, 0] == begin).all() and (result[last][1] == begin).all()):
            sys.exit("this is no longer so")
    if not np.allclose(torch[sequences][0, 1:], jax[sequences][0, 1:], atol=1e-6):
        sys.exit("later outputs differ, too")
print("as stated")
PYTHON
