"""Threads that share a model and get each other's results.

Where: Keras' `predict`, which makes and keeps things on first use
(https://github.com/tensorflow/tensorflow/issues/61298, https://github.com/keras-team/keras/issues/5640),
interpreters with one set of buffers for all who call, and layers that keep their last state inside (asked of
fastai at https://github.com/fastai/fastai/issues/2228).
What comes of it: an exception now and then, or another prediction for the same text.
Here: any number of threads may call one model, also while its weights are replaced: each result is of the old
weights or of the new, whole. A stream is one thread's at a time: whoever comes meanwhile is told so, and
nothing is mixed.
"""

from __future__ import annotations

import sys
import threading

import numpy as np

import lstmfast

CALLS = 3000 if "--long" in sys.argv[1:] else 60
T, I, H = 12, 24, 40


def main() -> None:
    lstmfast.set_num_threads(2)
    sys.setswitchinterval(1e-4)
    layer = lstmfast.LSTM(I, H, num_layers=2, bidirectional=True, seed=0)
    versions = [
        lstmfast.LSTM(I, H, num_layers=2, bidirectional=True, seed=seed).state_dict() for seed in (0, 1)
    ]
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((T, B, I)).astype(np.float32) for B in (1, 3, 8, 20)]
    allowed: list[set[bytes]] = [set() for _ in inputs]
    for weights in versions:
        layer.load_state_dict(weights)
        for found, x in zip(allowed, inputs, strict=True):
            found.add(layer(x)[0].tobytes())
    wrong: list[str] = []
    done = threading.Event()

    def call(n: int) -> None:
        for _ in range(CALLS):
            if layer(inputs[n])[0].tobytes() not in allowed[n]:
                wrong.append(f"the result of {inputs[n].shape[1]} rows is of no weights that the model had")

    def replace() -> None:
        while not done.wait(1e-3):
            for weights in versions:
                layer.load_state_dict(weights)

    stream = lstmfast.LSTM(64, 256, seed=0).stream()
    alone = lstmfast.LSTM(64, 256, seed=0).stream()
    frames = rng.standard_normal((CALLS, 64)).astype(np.float32)
    expected = alone.run(frames)

    def disturb() -> None:
        while not done.is_set():
            try:
                state = stream.state  # of one moment, or refused
            except RuntimeError as error:
                if "another thread is using this object" not in str(error):
                    wrong.append(str(error))
            else:
                if not np.isfinite(state[0]).all():
                    wrong.append("a state is not of numbers")

    callers = [threading.Thread(target=call, args=(n,)) for n in range(4)]
    others = [threading.Thread(target=replace), threading.Thread(target=disturb)]
    for thread in (*others, *callers):
        thread.start()
    stepped = np.empty_like(expected)
    for n, frame in enumerate(frames):
        while True:
            try:
                stream.step(frame, out=stepped[n])
            except RuntimeError:
                continue  # the other one was reading the state: nothing has happened
            break
    for thread in callers:
        thread.join()
    done.set()
    for thread in others:
        thread.join()
    if not np.array_equal(stepped, expected):
        wrong.append("a stream that another thread read went another way")
    if wrong:
        sys.exit(f"lstmfast: {wrong[0]}")
    print(f"lstmfast: {4 * CALLS} calls of four threads had their own results, while weights changed")


if __name__ == "__main__":
    main()
