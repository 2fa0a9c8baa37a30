#!/usr/bin/env bash
# TensorFlow 2.21.0: the gradient that a GradientTape finds for raw_ops.BlockLSTMV2 is wrong, without an error. What is
# registered for it is the gradient of the operator's first version, whose gates stand in another order (i, g, f, o; the
# second version's are i, f, g, o). raw_ops.BlockLSTMGradV2, called by hand, is right.
#
# Seen on Linux, x86-64, with T=5, B=3, I=4, H=6: against central differences the tape's gradient of w is off by 1.7
# times its largest value, and BlockLSTMGradV2's by 2e-4, which is what differences of float32 are good for.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorflow==2.21.0

cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES="" venv/bin/python -W ignore - <<'PYTHON'
import numpy as np
import tensorflow as tf

T, B, I, H = 5, 3, 4, 6
draw = np.random.default_rng(0)
x, w, b, dh = (
    draw.normal(size=size).astype(np.float32) for size in ((T, B, I), (I + H, 4 * H), (4 * H,), (T, B, H))
)
zeros, none = np.zeros((B, H), np.float32), np.zeros(H, np.float32)
given = {"seq_len_max": np.int64(T), "cs_prev": zeros, "h_prev": zeros, "wci": none, "wcf": none, "wco": none}


def run(w):
    return tf.raw_ops.BlockLSTMV2(x=x, w=w, b=b, **given)


def loss(w):
    return float(np.sum(run(w).h.numpy().astype(np.float64) * dh))


def slope(n):
    step = np.zeros(w.size, np.float32)
    step[n] = 1e-2
    step = step.reshape(w.shape)
    return (loss(w + step) - loss(w - step)) / 2e-2


differences = np.array([slope(n) for n in range(w.size)]).reshape(w.shape)
variable = tf.Variable(w)
with tf.GradientTape() as tape:
    total = tf.reduce_sum(run(variable).h * dh)
by_tape = tape.gradient(total, variable).numpy()
out = run(w)
by_hand = tf.raw_ops.BlockLSTMGradV2(
    x=x, w=w, b=b, **given, i=out.i, cs=out.cs, f=out.f, o=out.o, ci=out.ci, co=out.co, h=out.h,
    cs_grad=tf.zeros_like(out.cs), h_grad=dh, use_peephole=False,
).w_grad.numpy()

largest = np.abs(differences).max()
tape_error, hand_error = (float(np.abs(found - differences).max() / largest) for found in (by_tape, by_hand))
print("tensorflow", tf.__version__, f"off by: GradientTape {tape_error:.2g}, BlockLSTMGradV2 {hand_error:.2g}")
assert tf.__version__ == "2.21.0"
assert tape_error > 0.5
assert hand_error < 1e-2
PYTHON
