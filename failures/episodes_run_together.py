"""An episode that goes on from the one before it in the same row of a batch.

Where: loops of reinforcement learning that multiply the state by `1 - done` between calls of one step,
because a sequence in one call cannot be cut; who calls whole sequences lets the state, and the gradient, run
across the end of an episode.
What comes of it: a policy that learns from what happened after its episode had ended.
Here: with `reset` a row begins anew before each marked step, in every layer, from zero or from `reset_to`;
results are those of the pieces run alone, bit for bit, and no gradient crosses a cut.
"""

from __future__ import annotations

import itertools
import sys

import numpy as np

import lstmfast

T, B, I, H = 14, 4, 3, 6


def main() -> None:
    rng = np.random.default_rng(0)
    marks = rng.random((T, B)) < 0.25
    marks[0, 0], marks[:, 1], marks[:, 2] = True, True, False
    for kind in (lstmfast.LSTM, lstmfast.GRU, lstmfast.RNN):
        layer = kind(I, H, num_layers=2, seed=0)
        x = rng.standard_normal((T, B, I)).astype(np.float32)
        y, _, tape = layer.forward(x, reset=marks)
        for b in range(B):
            cuts = [0, *np.flatnonzero(marks[1:, b]) + 1, T]
            for begin, end in itertools.pairwise(cuts):
                if not np.array_equal(y[begin:end, b], layer(x[begin:end, b])[0]):
                    sys.exit(f"lstmfast: {layer!r}: steps {begin} to {end} of row {b} differ")
                dy = np.zeros_like(y)
                dy[end - 1, b] = 1
                dx = layer.backward(tape, dy).x
                if dx[:begin].any() or not dx[begin:end, b].any():
                    sys.exit(f"lstmfast: {layer!r}: a gradient passes step {begin} of row {b}, a cut")
    print("lstmfast: episodes of one row have nothing of each other")


if __name__ == "__main__":
    main()
