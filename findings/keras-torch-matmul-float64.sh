#!/usr/bin/env bash
# Keras 3.15.1 on PyTorch 2.13.0: keras.ops.matmul of two float64 tensors returns float32, without a word. So what a layer of
# dtype="float64" computes by it has float32's precision: seen for SimpleRNN, whose kernels, inputs and outputs are all float64
# by their dtype and whose outputs are off by 1e-7 from NumPy's in float64. On NumPy the same product is float64.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy scipy torch==2.13.0 keras==3.15.1 jax==0.10.2

cd "$folder"
cat >product.py <<'PYTHON'
import keras
import numpy as np

rng = np.random.default_rng(0)
a, b = (keras.ops.convert_to_tensor(rng.standard_normal((4, 4))) for _ in range(2))
product = keras.ops.matmul(a, b)
dtypes = [keras.backend.standardize_dtype(each.dtype) for each in (a, b, product)]
layer = keras.layers.SimpleRNN(5, dtype="float64")
x = rng.standard_normal((3, 6, 4))
y = keras.ops.convert_to_numpy(layer(x))
kernel, recurrent, bias = (keras.ops.convert_to_numpy(one.value) for one in layer.weights)
h = np.zeros((3, 5))
for t in range(6):
    h = np.tanh(x[:, t] @ kernel + bias + h @ recurrent)
print(keras.backend.backend(), *dtypes, y.dtype, float(np.abs(y - h).max()))
PYTHON
for backend in torch numpy; do
  KERAS_BACKEND=$backend venv/bin/python -W ignore product.py | tee "$backend.txt"
done
venv/bin/python - <<'PYTHON'
import sys

for backend, dtype, least, most in (("torch", "float32", 1e-9, 1e-5), ("numpy", "float64", 0, 1e-12)):
    a, b, product, of_layer, off = open(f"{backend}.txt").read().split()[1:]
    if (a, b, product, of_layer) != ("float64", "float64", dtype, "float64") or not least <= float(off) <= most:
        sys.exit("this is no longer so")
print("as stated")
PYTHON
