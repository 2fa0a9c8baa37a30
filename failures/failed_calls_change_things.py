"""A call that fails, and has changed something.

Where: layers that keep their state inside and write to it before all is checked; loaders of weights that stop
in the middle, as `load_state_dict` does, which copies what fits before it raises.
What comes of it: an exception that is caught, and a model that is half the old one and half the new from then
on.
Here: a call that fails has changed nothing: weights, states of streams and pools, `out`, open ids, all are as
they were.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

import numpy as np

import lstmfast

I, H = 3, 4


def main() -> None:
    layer = lstmfast.LSTM(I, H, num_layers=2, seed=0)
    stream, pool = layer.stream(2), layer.stream_pool(4)
    ids = [pool.open() for _ in range(3)]
    closed = pool.open()
    pool.close(closed)
    x = np.ones((2, I), np.float32)
    stream.step(x)
    pool.step(ids[:2], x)
    y = np.full((2, H), 7, np.float32)
    out = y.copy()
    weights = layer.state_dict()
    wrong = {**weights, "weight_hh_l1": np.zeros((1, 1))}
    h, c = (np.ones((2, 2, H), np.float32) for _ in range(2))
    attempts: dict[str, Callable[[], object]] = {
        "weights of a wrong shape": lambda: layer.load_state_dict(wrong),
        "one weight of a wrong shape": lambda: layer.update(
            {"weight_ih_l0": weights["weight_ih_l0"] * 0, "bias_hh_l1": 1.0}
        ),
        "an unknown weight": lambda: layer.update(
            {"weight_ih_l0": weights["weight_ih_l0"] * 0, "weight_ih_l7": x}
        ),
        "weights that are missing": lambda: layer.load_state_dict(
            {"weight_ih_l0": weights["weight_ih_l0"] * 0}
        ),
        "weights that are texts": lambda: layer.update(
            {"weight_ih_l0": weights["weight_ih_l0"] * 0, "bias_ih_l0": ["a"] * 16}
        ),
        "a frame of a wrong width": lambda: stream.step(np.ones((2, I + 1)), out=out),
        "an out of a wrong shape": lambda: stream.step(x, out=np.zeros((3, H), np.float32)),
        "an out that is the frame": lambda: stream.step(x, out=x),
        "a state of a wrong shape": lambda: setattr(stream, "state", (h, c[:, :1])),
        "a row that is not there": lambda: stream.reset([0, 5]),
        "a state to reset to that is wrong": lambda: stream.reset([0], to=(h[:, 0], c[:, 0, :1])),
        "a closed id": lambda: pool.step([ids[0], closed], x, out=out),
        "an id twice": lambda: pool.step([ids[0], ids[0]], x, out=out),
        "an id that never was": lambda: pool.step([ids[0], 10**6], x, out=out),
        "fewer frames than ids": lambda: pool.step(ids, x, out=out),
        "a closed id among some to close": lambda: pool.close([ids[0], closed]),
        "an id twice among some to close": lambda: pool.close([ids[0], ids[0]]),
        "a closed id among some to reset": lambda: pool.reset([ids[0], closed]),
        "states of too few": lambda: pool.set_state(ids, (h, c)),
        "less room than there was": lambda: pool.grow(1),
        "more room than there can be": lambda: pool.grow(2**60),
        "a stream too many, in a wrong state": lambda: pool.open((h, c)),
    }

    def everything() -> list[bytes]:
        if sorted(pool.ids.tolist()) != ids:
            return []
        arrays = [
            *layer.state_dict().values(),
            *stream.state,
            *pool.state(ids),
            pool.ids,
            out,
            layer(x[np.newaxis])[0],
        ]
        return [np.array([len(pool), pool.capacity]).tobytes(), *(array.tobytes() for array in arrays)]

    before = everything()
    for what, attempt in attempts.items():
        with contextlib.suppress(TypeError, ValueError, KeyError, MemoryError):
            attempt()
            sys.exit(f"lstmfast: {what}: taken")
        if everything() != before:
            sys.exit(f"lstmfast: {what}: the call failed, and has changed something")
    print(f"lstmfast: {len(attempts)} calls failed and changed nothing")


def pytorch() -> None:
    import torch

    lstm = torch.nn.LSTM(I, H)
    before = {name: weight.clone() for name, weight in lstm.state_dict().items()}
    given = {name: weight + 1 for name, weight in before.items()} | {"bias_hh_l0": torch.zeros(1)}
    with contextlib.suppress(RuntimeError):
        lstm.load_state_dict(given)
    changed = [name for name, weight in lstm.state_dict().items() if not torch.equal(weight, before[name])]
    said = ", ".join(changed) or "nothing"
    print(f"PyTorch {torch.__version__}: a load_state_dict that fails has changed {said}")


if __name__ == "__main__":
    main()
    try:
        pytorch()
    except Exception as error:  # whatever it does: this is about lstmfast
        print("PyTorch:", error)
