#!/usr/bin/env bash
# Flax 0.12.8 on JAX 0.10.2: nn.RNN of linen and nnx.RNN, called with seq_lengths and return_carry. Seen, without an error: a
# row whose length is 0 gets the carry after all of its padding, that of a row of full length, and not the initial carry that
# it was given (rows of length 1 and more get the carry after their own last step). Outputs past a row's end are computed on
# from the padding; neither wrapper makes them zero. So a batch that is run chunk by chunk, with the carries of the chunk
# before, must put the carries of rows without a step back by hand.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy jax==0.10.2 flax==0.12.8

cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

x = jnp.ones((3, 4, 1))
initial = jnp.full((3, 2), 0.25)
lengths = jnp.array([0, 1, 4])

linen = nn.RNN(nn.SimpleCell(2), return_carry=True)
variables = linen.init(jax.random.key(0), x)
ours = nnx.RNN(nnx.SimpleCell(1, 2, rngs=nnx.Rngs(0)), return_carry=True)
for name, run in (
    ("linen", lambda **more: linen.apply(variables, x, initial_carry=initial, **more)),
    ("nnx", lambda **more: ours(x, initial_carry=initial, **more)),
):
    carry, y = map(np.asarray, run(seq_lengths=lengths))
    whole, _ = map(np.asarray, run())
    print(f"{name}: carries of lengths 0, 1, 4: {carry.tolist()}; given {initial[0].tolist()}")
    if not (np.array_equal(carry[0], whole[0]) and np.array_equal(carry[1], y[1, 0]) and y[1, 1:].any()):
        sys.exit("this is no longer so")
    if np.array_equal(carry[0], np.asarray(initial[0])):
        sys.exit("this is no longer so")
print("as stated")
PYTHON
