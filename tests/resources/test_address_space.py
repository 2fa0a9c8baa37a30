"""A process that may have no more memory (RLIMIT_AS): calls too large are MemoryErrors; all goes on."""

from __future__ import annotations

import sys

import pytest

from ..core_helpers import run_python

# Prints of each call how it ended, and whether the model and its streams are what they were.
LIMITED = """
import resource
import numpy as np
import lstmfast
from lstmfast import training

lstmfast.set_num_threads(1)
model = lstmfast.LSTM(64, 64, num_layers=2, seed=0)
head = training.Dense(64, 1, seed=0)
adam = training.Adam(model, head)
small, stream, pool = model.quantize("int8"), model.stream(2), model.stream_pool(10)
ids = [pool.open() for _ in range(3)]
x, frame = np.ones((20, 2, 64), np.float32), np.ones((3, 64), np.float32)
long = np.broadcast_to(np.ones(64, np.float32), (1_000_000, 1, 64))  # of 256 bytes, and 256 MB as a result
dense = np.zeros((200_000, 1, 64), np.float32)  # 51 MB
stream.run(x)
pool.step(ids, frame)

def now():
    y, state = model(x)
    _, _, tape = model.forward(x)
    gradients = model.backward(tape, y)
    arrays = [y, *state, small(x)[0], *stream.state, *pool.state(ids), gradients.x]
    return b"".join(a.tobytes() for a in [*arrays, *gradients.parameters.values()])

before = now()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (150 << 20), resource.RLIM_INFINITY))
calls = {
    "call": lambda: model(long),
    "call, small": lambda: small(long),
    "forward": lambda: model.forward(dense),
    "run": lambda: lstmfast.LSTM(64, 64, seed=0).stream().run(long),
    "step": lambda: stream.run(np.broadcast_to(np.ones(64, np.float32), (1_000_000, 2, 64))),
    "stream": lambda: model.stream(1 << 20),
    "stream_pool": lambda: model.stream_pool(1 << 24),
    "grow": lambda: pool.grow(1 << 24),
    "LSTM": lambda: lstmfast.LSTM(4096, 4096, seed=0),
    "beyond any": lambda: lstmfast.LSTM(1 << 30, 1 << 28, seed=0),
}
for name, call in calls.items():
    try:
        call()
        ended = "done"
    except (MemoryError, ValueError) as error:
        ended = type(error).__name__
    print(f"{name}: {ended}, {'the same' if now() == before else 'CHANGED'}")
pool.grow(100)
print(pool.capacity, pool.step(ids, frame).shape)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits its own memory")
def test_calls_too_large_are_memory_errors() -> None:
    said = run_python(LIMITED).splitlines()
    assert said.pop() == "100 (3, 64)"
    names = ("call", "call, small", "forward", "run", "step", "stream", "stream_pool", "grow", "LSTM")
    assert said == [*(f"{name}: MemoryError, the same" for name in names), said[-1]]
    assert said[-1] in ("beyond any: MemoryError, the same", "beyond any: ValueError, the same")
