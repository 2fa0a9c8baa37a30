"""Ctrl-C, and other signals that Python has handlers for, in the midst of a long call."""

from __future__ import annotations

import signal

import pytest

from ..core_helpers import run_python
from ..interrupts import INTERRUPTED

# Calls that take a second, and what tells that they were not done: the end of what they write.
SCRIPT = """
import sys
import numpy as np
import lstmfast

what, threads = sys.argv[1], int(sys.argv[2])
lstmfast.set_num_threads(threads)
lstmfast._core.ignore_crowding(True)
B, H = 32, 1024
options = {"batch_first": True} if what == "fast call" else {}
model = lstmfast.LSTM(1, H, seed=0, **options)
small = np.zeros((5, B, 1), "f") + 0.5
before = model(small.transpose(1, 0, 2) if options else small)[0]
T = steps_of_a_second(lambda n: model(np.zeros((B, n, 1) if options else (n, B, 1), "f")))
x = np.zeros((B, T, 1) if options else (T, B, 1), "f")
y = np.full((B, T, H) if options else (T, B, H), np.nan, "f")
h, c = np.full((1, B, H), 0.25, "f"), np.full((1, B, H), 0.5, "f")
if what == "backward":
    dy, _, tape = model.forward(x[: T // 2])
    call = lambda: model.backward(tape, dy)
elif what == "forward":
    call = lambda: model.forward(x[: T // 2])
elif what == "in place":
    call = lambda: model(x, (h, c), lengths=np.full(B, T), out=(y, (h, c)))
elif what == "fast call":
    call = lambda: model(x, (h, c), out=(y, (h, c)))
elif what == "stream":
    stream = model.stream(B)
    stream.run(small)
    at = stream.state
    call = lambda: stream.run(x, out=y)
else:
    model = model.quantize(what)
    before = model(small)[0]
    call = lambda: model(x, out=(y, (h, c)))

for _ in range(2):
    waited = interrupted(call)
    assert waited < 1, waited
if what == "backward" or what == "forward":  # whose results are nobody's then
    assert was_not_made(call)
else:
    assert np.isnan(y[-1, -1, -1])
if what == "in place" or what == "fast call":
    assert (h == 0.25).all() and (c == 0.5).all()
if what == "stream":
    assert all(np.array_equal(a, b) for a, b in zip(at, stream.state))
    stream.run(small)
assert np.array_equal(model(small.transpose(1, 0, 2) if options else small)[0], before)
print("done")
"""


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("what", ["fast call", "in place", "forward", "backward", "stream", "float16"])
def test_ctrl_c_is_answered(what: str, threads: str) -> None:
    """Within a second; and states, streams, weights are as if the call had never been made."""
    assert run_python(INTERRUPTED + SCRIPT, what, threads) == "done\n"


HANDLED = """
import signal, sys, threading, time
import numpy as np
import lstmfast

threads, B, H = 1, 32, 1024
lstmfast.set_num_threads(threads)
model = lstmfast.LSTM(1, H, seed=0)
T = steps_of_a_second(lambda n: model(np.zeros((n, B, 1), "f")))
x = np.ones((T, B, 1), "f")
y = np.full((T, B, H), np.nan, "f")
seen = []
def handler(number, frame):
    seen.append(np.isnan(y[-1, -1, -1]))
    inner = model(x[:3])[0]  # a call within the call
    seen.append(np.array_equal(inner, expected[:3]))
expected = model(x[:10])[0]
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.05)
model(x, out=(y, (np.empty((1, B, H), "f"), np.empty((1, B, H), "f"))))
assert seen == [True, True], seen
assert np.array_equal(y[:10], expected)
assert np.array_equal(y, model(x)[0])

# Signals are the main thread's: a call of another thread goes on, and the main thread hears of it at once.
signal.signal(signal.SIGINT, signal.default_int_handler)
results = []
thread = threading.Thread(target=lambda: results.append(model(x)[0]))
thread.start()
try:
    time.sleep(0.05)
    signal.raise_signal(signal.SIGINT)
    time.sleep(10)
    raise SystemExit("never interrupted")
except KeyboardInterrupt:
    pass
thread.join()
assert np.array_equal(results[0], y)
print("done")
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers")
def test_handlers_run_and_the_call_goes_on() -> None:
    assert run_python(INTERRUPTED + HANDLED) == "done\n"
