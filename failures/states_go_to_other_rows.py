"""A state of one stream that another one goes on from.

Where: servers that keep states by slot or by row of a batch, and frameworks that keep them in the layer:
cudnn.torch, whose `resetStates` did nothing (https://github.com/soumith/cudnn.torch/issues/348); Keras'
stateful layers, where a row of the next batch goes on from the same row of the last, whoever that was
(https://github.com/keras-team/keras/issues/1820).
What comes of it: the words of one caller in the transcript of another; validation that depends on what ran
before it.
Here: ids of a pool are never given twice, and one that is closed is an error. Streams that open, close,
reset, are stepped in any order and make room meanwhile give, each, the bits of its own frames run alone from
the beginning.
"""

from __future__ import annotations

import sys

import numpy as np

import lstmfast

ROUNDS = 3_000 if "--long" in sys.argv[1:] else 400
I, H = 3, 5


def main() -> None:
    rng = np.random.default_rng(0)
    layer = lstmfast.LSTM(I, H, num_layers=2, seed=0)
    pool = layer.stream_pool(4)
    heard: dict[int, list[np.ndarray]] = {}  # frames since a stream began
    given: set[int] = set()
    for _ in range(ROUNDS):
        act = rng.random()
        if act < 0.2:
            if len(heard) == pool.capacity:
                pool.grow(pool.capacity + 3)
            id = pool.open()
            if id in given:
                sys.exit(f"lstmfast: the pool gave the id {id} twice")
            given.add(id)
            heard[id] = []
        elif act < 0.35 and heard:
            id = int(rng.choice(list(heard)))
            pool.close(id)
            del heard[id]
            try:
                pool.step(id, np.zeros(I))
            except ValueError:
                continue
            sys.exit(f"lstmfast: the stream {id} was closed, and could be stepped")
        elif act < 0.45 and heard:
            id = int(rng.choice(list(heard)))
            pool.reset(id)
            heard[id] = []
        elif heard:
            ids = rng.permutation(list(heard))[: rng.integers(1, len(heard) + 1)]
            frames = rng.standard_normal((len(ids), I)).astype(np.float32)
            y = pool.step(ids, frames)
            for id, frame, output in zip(ids.tolist(), frames, y, strict=True):
                heard[id].append(frame)
                if not np.array_equal(layer(np.stack(heard[id]))[0][-1], output):
                    sys.exit(f"lstmfast: the stream {id} went on from a state that is not its own")
    print(f"lstmfast: {len(given)} streams of one pool, each with its own state")


if __name__ == "__main__":
    main()
