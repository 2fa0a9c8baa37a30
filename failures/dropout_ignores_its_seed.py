"""Dropout between layers that no seed governs, or that goes on after training.

Where: cuDNN, whose generator has a state of its own, so that `manual_seed` does not bring the same masks back
(https://github.com/pytorch/pytorch/issues/104697, https://github.com/soumith/cudnn.torch/issues/197); Keras'
LSTM under a global seed (https://github.com/tensorflow/tensorflow/issues/41610).
What comes of it: a training run that cannot be repeated, and a search for what else could be the reason.
Here: a seed gives the same bits, with any number of threads; another one, or none, gives others; NumPy's
global generator is neither asked nor changed; and calls, streams and one layer alone drop nothing.
"""

from __future__ import annotations

import sys

import numpy as np

import lstmfast

T, B, I, H = 20, 16, 40, 64


def main() -> None:
    options = {"num_layers": 3, "dropout": 0.5, "zoneout": 0.2, "recurrent_dropout": 0.3, "seed": 0}
    layer = lstmfast.LSTM(I, H, **options)
    x = np.random.default_rng(0).standard_normal((T, B, I)).astype(np.float32)
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002

    def train(seed: int | None) -> list[bytes]:
        y, _, tape = layer.forward(x, seed=seed)
        return [y.tobytes(), layer.backward(tape, y).parameters["weight_hh_l1"].tobytes()]

    expected = train(1)
    for threads in (1, 2, 3):
        lstmfast.set_num_threads(threads)
        if train(1) != expected:
            sys.exit(f"lstmfast: the same seed of dropout gives other results, on {threads} threads")
    if train(2)[0] == expected[0] or train(None)[0] == train(None)[0]:
        sys.exit("lstmfast: dropout is the same with another seed, or without one")
    plain = lstmfast.LSTM(I, H, num_layers=3, dropout=0.5, seed=0)
    sure = lstmfast.LSTM(I, H, num_layers=3)
    sure.load_state_dict(plain.state_dict())
    stream = plain.stream(B)
    for what, y in (("a call", plain(x)[0]), ("a stream", stream.run(x))):
        if not np.array_equal(y, sure(x)[0]):
            sys.exit(f"lstmfast: {what} drops something, which is for training alone")
    one = lstmfast.LSTM(I, H, dropout=0.9, seed=0)
    if not np.array_equal(one.forward(x)[0], one(x)[0]):
        sys.exit("lstmfast: one layer alone drops something: there is nothing between layers")
    if np.random.get_state()[1].tobytes() != before:  # noqa: NPY002
        sys.exit("lstmfast: NumPy's global generator has another state")
    print("lstmfast: a seed gives the same bits, and inference drops nothing")


if __name__ == "__main__":
    main()
