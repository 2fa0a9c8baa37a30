"""Threads that cannot be started: fewer of them, the same bits, and the next call tries again."""

from __future__ import annotations

import sys

import pytest

from ..core_helpers import run_python

# Threads begin with a stack of the size that is asked for here, for which there is room or not.
SCRIPT = """
import ctypes, os
import numpy as np
import lstmfast
from lstmfast import _core

lstmfast.set_num_threads(1)  # before a model is packed on two
_core.ignore_crowding(True)
libc = ctypes.CDLL(None)
attributes = ctypes.create_string_buffer(256)

def stacks_of(size):
    assert libc.pthread_attr_init(attributes) == 0
    assert libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(size)) == 0
    assert libc.pthread_setattr_default_np(attributes) == 0

def threads_started(model):
    before = len(os.listdir("/proc/self/task"))
    y, state, tape = model.forward(x)
    gradients = model.backward(tape, y)
    stream = model.stream(16)
    results = [y, *state, gradients.x, *gradients.parameters.values(), stream.run(x), stream.step(x[0])]
    return len(os.listdir("/proc/self/task")) - before, b"".join(a.tobytes() for a in results)

model = lstmfast.LSTM(64, 128, num_layers=2, seed=0)
x = np.random.default_rng(0).standard_normal((30, 16, 64)).astype(np.float32)
_, right = threads_started(model)
lstmfast.set_num_threads(4)
for size in (1 << 46, 8 << 20):
    stacks_of(size)
    started, bits = threads_started(model)
    print(started, bits == right)
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="counts threads in /proc, and glibc's can be told"
)
def test_fewer_threads_and_the_same_bits() -> None:
    assert run_python(SCRIPT).split() == ["0", "True", "3", "True"]
