"""Results that change after they were given: views of each other, or of a buffer that is used again.

Where: engines whose last state is a view of the outputs, and interpreters that hand out their own buffers
(TensorFlow Lite's `get_tensor` copies for that reason, and its `tensor()` does not).
What comes of it: a state that changed when the outputs were scaled in place; all entries of a list of results
alike.
Here: results are memory of their own, of which nothing is used again while somebody has it; arguments are
never written to, but for `out`; where `out` would share memory with an argument it is refused, but for a new
state in place of the old.
"""

from __future__ import annotations

import itertools
import sys

import numpy as np

import lstmfast

T, B, I, H = 6, 3, 5, 5


def main() -> None:
    rng = np.random.default_rng(0)
    for kind in (lstmfast.LSTM, lstmfast.GRU):
        layer = kind(I, H, seed=0)
        x = rng.standard_normal((T, B, I)).astype(np.float32)
        halves = 2 if kind is lstmfast.LSTM else 1
        given = tuple(rng.standard_normal((1, B, H)).astype(np.float32) for _ in range(halves))
        state = given if halves == 2 else given[0]
        stream = layer.stream(B)
        kept: list[np.ndarray] = [x, *given]
        for n in range(20):
            y, end, tape = layer.forward(x, state)
            grads = layer.backward(tape, y, state)
            called, last = layer(x, state)
            ends = [end, last, grads.state, stream.state]
            arrays = [half for pair in ends for half in (pair if halves == 2 else (pair,))]
            kept += [y, called, grads.x, *grads.parameters.values(), stream.step(x[n % T]), *arrays]
        for one, other in itertools.combinations(kept, 2):
            if np.shares_memory(one, other):
                sys.exit(f"lstmfast: two results of {layer!r} share memory")
        before = [array.tobytes() for array in kept]
        for _ in range(50):  # with another input, so that a buffer that is used again would show
            y, _, tape = layer.forward(x + 1)
            layer.backward(tape, y)
            stream.step(x[0] + 1)
        if [array.tobytes() for array in kept] != before:
            sys.exit(f"lstmfast: results of {layer!r}, or its arguments, changed in later calls")
    lstm = lstmfast.LSTM(I, H, seed=0)
    square = np.zeros((T, B, H), np.float32)
    h, c = np.zeros((2, 1, B, H), np.float32)
    try:
        lstm(square, out=(square, (h, c)))
    except ValueError:
        pass
    else:
        sys.exit("lstmfast: takes an `out` that is x itself, which it would read after it has written there")
    _, (h_n, c_n) = lstm(square + 1)
    lstm(square + 1, (h, c), out=(np.zeros_like(square), (h, c)))
    if not np.array_equal(h, h_n) or not np.array_equal(c, c_n):
        sys.exit("lstmfast: a new state in place of the old is not the new state")
    print("lstmfast: results are memory of their own")


if __name__ == "__main__":
    main()
