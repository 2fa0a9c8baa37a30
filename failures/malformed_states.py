"""A state of another form than the layer expects, that is taken.

Where: PyTorch's LSTMCell and the functions below its modules
(https://github.com/pytorch/pytorch/issues/193823, 173946, 94668). None of it is run here.
What comes of it: results of no meaning, which look like any others.
Here: a state is looked at before anything is computed, and what does not fit is a TypeError or a ValueError
that names it.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable

import numpy as np

import lstmfast

I, H = 3, 3  # alike, so that what is wrong does not fail by its sizes alone


def wrong_halves(right: tuple[int, ...]) -> list[object]:
    """What is no half of a state of this shape."""
    axes = [shape for n in range(5) for shape in itertools.product((0, 1, 3), repeat=n) if shape != right]
    others: list[object] = ["h", b"h", {"h": 0}, 1.5, [[1, 2], [3]], np.full(right, "a"), np.full(right, 1j)]
    return [*others, *(np.zeros(shape, np.float32) for shape in axes)]


def main() -> None:
    calls = 0

    def refused(what: str, call: Callable[[], object]) -> None:
        nonlocal calls
        calls += 1
        try:
            call()
        except (TypeError, ValueError) as error:
            if not str(error).startswith("state"):
                sys.exit(f"lstmfast: {what}: the message does not name the state: {error}")
        else:
            sys.exit(f"lstmfast: {what}: taken")

    x = np.zeros((2, 3, I), np.float32)
    for kind in (lstmfast.LSTM, lstmfast.GRU):
        layer = kind(I, H, seed=0)
        pair = kind is lstmfast.LSTM
        streams = layer.stream(3), layer.stream_pool(3)
        ids = [streams[1].open() for _ in range(3)]
        for rows, shape in ((True, (1, 3, H)), (False, (1, H))):
            good = np.zeros(shape, np.float32)
            given = x if rows else x[:, 0]
            for half in wrong_halves(shape):
                states = [(half, good), (good, half), (half, half)] if pair else [half]
                for state in states:
                    said = f"{layer!r} with the state {state!r}"
                    refused(said, lambda layer=layer, given=given, state=state: layer(given, state))
                    if rows:
                        refused(said, lambda s=streams[0], state=state: setattr(s, "state", state))
                        refused(said, lambda p=streams[1], ids=ids, state=state: p.set_state(ids, state))
            for state in ([good, good, good], (good,), (), "hc") if pair else ([], "h", (good, good)):
                refused(
                    f"{layer!r} with the state {state!r}",
                    lambda layer=layer, given=given, state=state: layer(given, state),
                )
    print(f"lstmfast: {calls} states of a wrong form are refused")


if __name__ == "__main__":
    main()
