"""Masks that are not True first and False afterwards.

Where: Keras on cuDNN, which knows lengths alone: masks with padding on the left, or with holes, gave other
results than on the CPU, or errors (https://github.com/tensorflow/tensorflow/issues/49241, 36139 and 60192).
On Keras 3 padding on the left with an initial state means one thing on torch and tensorflow and another on
jax.
What comes of it: another accuracy on another device.
Here: a mask may have holes anywhere, also a whole row: what is computed is the row of the steps that are
taken, in both directions, with the same bits, and a skipped step repeats the output before it.
"""

from __future__ import annotations

import sys

import numpy as np

import lstmfast

T, B, I, H = 10, 7, 3, 5


def main() -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((T, B)) < 0.6
    masks[:, 0], masks[:4, 1], masks[:, 2], masks[6:, 3] = False, False, True, False
    for kind in (lstmfast.LSTM, lstmfast.GRU, lstmfast.RNN):
        layer = kind(I, H, num_layers=2, bidirectional=True, seed=0)
        x, dy = (rng.standard_normal((T, B, n)).astype(np.float32) for n in (I, 2 * H))
        y, end, tape = layer.forward(x, mask=masks)
        grads = layer.backward(tape, dy)
        ends = end if isinstance(end, tuple) else (end,)
        for b in range(B):
            steps = np.flatnonzero(masks[:, b])
            alone, end_alone, tape_alone = layer.forward(x[steps, b])
            ends_alone = end_alone if isinstance(end_alone, tuple) else (end_alone,)
            said = f"{layer!r}: row {b}, of which the steps {steps.tolist()} are taken"
            if not np.array_equal(y[steps, b], alone):
                sys.exit(f"lstmfast: {said}: outputs are not those of the row of these steps")
            if not all(np.array_equal(one[:, b], other) for one, other in zip(ends, ends_alone, strict=True)):
                sys.exit(f"lstmfast: {said}: the state is not that of the row of these steps")
            # Forward, a skipped step repeats what came before it; in reverse, what comes after it.
            last = np.zeros(H, np.float32)
            d_alone = np.zeros((len(steps), 2 * H), np.float32)
            for t in range(T):
                last = y[t, b, :H] if masks[t, b] else last
                if not np.array_equal(y[t, b, :H], last):
                    sys.exit(f"lstmfast: {said}: step {t} does not repeat the output before it")
                if (before := np.searchsorted(steps, t, "right")) > 0:
                    d_alone[before - 1, :H] += dy[t, b, :H]
                if (after := np.searchsorted(steps, t)) < len(steps):
                    d_alone[after, H:] += dy[t, b, H:]
            dx = layer.backward(tape_alone, d_alone).x
            if not np.allclose(grads.x[steps, b], dx, rtol=1e-4, atol=1e-6):
                sys.exit(f"lstmfast: {said}: dx is not that of the row of these steps")
            if grads.x[~masks[:, b], b].any():
                sys.exit(f"lstmfast: {said}: dx is not zero at a skipped step")
    print("lstmfast: masks may have holes anywhere")


if __name__ == "__main__":
    main()
