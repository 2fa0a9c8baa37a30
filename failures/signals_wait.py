"""Ctrl-C that waits until the call is done.

Where: engines whose calls are one instruction of Python's; TensorFlow's sessions
(https://github.com/tensorflow/tensorflow/issues/11303). PyTorch's recurrent modules, too.
What comes of it: a long sequence, or a batch that was too large by mistake, cannot be stopped but by killing
the process, with all that is in it.
Here: a call asks now and then whether a signal has arrived. It ends with what the handler raises, and the
model, the state that it was to replace in its place, and a stream are as before it.
"""

from __future__ import annotations

import importlib.util
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import lstmfast

B, H = 32, 512
TIMES = 20 if "--long" in sys.argv[1:] else 1


def interrupted(call: Callable[[], Any]) -> float:
    """Seconds of this process's work between Ctrl-C, soon after the call's begin, and its answer."""
    sent = []

    def send() -> None:
        time.sleep(0.05)
        sent.append(time.process_time())
        signal.raise_signal(signal.SIGINT)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        call()
        sender.join()  # the signal comes at the latest now
    except KeyboardInterrupt:
        return time.process_time() - sent[0]
    finally:
        sender.join()
    sys.exit("lstmfast: Ctrl-C was lost")


def steps_of(seconds: float, call: Callable[[int], Any]) -> int:
    """How many steps take about so long."""
    call(20)  # once for whatever a first call has to do
    begun = time.process_time()
    call(20)
    return max(100, int(20 * seconds / (time.process_time() - begun)))


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever began this may have had it ignored
    lstmfast.set_num_threads(1)
    layer = lstmfast.LSTM(1, H, seed=0)
    frames = np.random.default_rng(0).standard_normal((4, B, 1)).astype(np.float32)
    expected = layer(frames)[0]
    T = steps_of(1, lambda n: layer(np.zeros((n, B, 1), np.float32)))
    x = np.zeros((T, B, 1), np.float32)
    y = np.full((T, B, H), np.nan, np.float32)
    state = (np.full((1, B, H), 0.25, np.float32), np.full((1, B, H), 0.5, np.float32))
    before = tuple(half.copy() for half in state)
    stream = layer.stream(batch=B)
    stream.run(frames)
    at = stream.state
    calls = {
        "a call": lambda: layer(x, state, out=(y, state)),
        "a stream's chunk": lambda: stream.run(x, out=y),
    }
    for _ in range(TIMES):
        for what, call in calls.items():
            waited = interrupted(call)
            if not np.isnan(y[-1]).all() or waited > 0.9:
                sys.exit(f"lstmfast: Ctrl-C waited for {what}, {waited:.1f} s")
    for what, now, then in (("state", state, before), ("stream", stream.state, at)):
        if any(not np.array_equal(a, b) for a, b in zip(now, then, strict=True)):
            sys.exit(f"lstmfast: Ctrl-C has left a {what} in the midst of a call")
    if not np.array_equal(layer(frames)[0], expected):
        sys.exit("lstmfast: other results after Ctrl-C")
    print("lstmfast: Ctrl-C ends a call and a stream's chunk, and leaves what was there before")


def pytorch() -> None:
    if importlib.util.find_spec("torch") is None:
        return
    import torch

    torch.set_num_threads(1)
    module = torch.nn.LSTM(1, H)
    with torch.no_grad():
        T = steps_of(2, lambda n: module(torch.zeros(n, B, 1)))
        waited = interrupted(lambda: module(torch.zeros(T, B, 1)))
    print(f"PyTorch {torch.__version__}: of a call of some 2 s, {waited:.1f} s after Ctrl-C")


if __name__ == "__main__":
    main()
    pytorch()
