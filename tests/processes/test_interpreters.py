"""Subinterpreters: lstmfast is for the main interpreter of a process; others are told so."""

from __future__ import annotations

import sys

import pytest

from ..core_helpers import run_python

BEGIN = """
import os, sys
try:
    import _interpreters as interpreters  # since Python 3.13
    OLD, NEW = ("legacy",), ("isolated",)
except ImportError:
    import _xxsubinterpreters as interpreters
    OLD, NEW = (), ()

def create(own_gil=False):
    if OLD:
        return interpreters.create(*(NEW if own_gil else OLD))
    return interpreters.create(isolated=own_gil)

def within(id, text):
    "What `text` says in an interpreter, by its function `say`."
    reader, writer = os.pipe()
    begin = f"import os, sys\\nsys.path[:] = {sys.path!r}\\n"
    begin += f"say = lambda text: os.write({writer}, text.encode())\\n"
    failed = interpreters.run_string(id, begin + text)
    os.close(writer)
    with os.fdopen(reader) as said:
        return f"failed: {failed}" if failed else said.read()

IMPORT = '''
try:
    import lstmfast
    say("imported")
except ImportError as error:
    say(f"ImportError: {error}")
'''

WORK = '''
import numpy as np, lstmfast
lstmfast.set_num_threads(2)
lstmfast._core.ignore_crowding(True)
model = lstmfast.LSTM(70, 256, seed=0)
x = np.random.default_rng(0).standard_normal((8, 1, 70)).astype("f")
stream, pool = model.stream(), model.stream_pool(3)
id = pool.open()
def go_on():
    y, _, tape = model.forward(x)
    grads = model.backward(tape, y)
    return b"".join(a.tobytes() for a in
        (y, grads.x, grads.parameters["weight_hh_l0"], stream.step(x[0]), pool.step([id], x[0]), model(x)[0]))
'''
"""

REFUSED = (
    "ImportError: lstmfast: expected to be imported by the main interpreter of a process, got a"
    " subinterpreter; use threads or processes"
)

pytestmark = pytest.mark.skipif(sys.implementation.name != "cpython", reason="of CPython")


def test_they_are_refused_and_disturb_nothing() -> None:
    """Models, streams and pools of the main one go on with the same bits, beside them and after."""
    script = """
exec(WORK)
first = [go_on() for _ in range(8)]  # streams go on: each time is another
exec(WORK)
second, said = [go_on()], set()
for _ in range(3):
    other = create()
    said.add(within(other, IMPORT))
    second.append(go_on())
    said.add(within(other, IMPORT))
    interpreters.destroy(other)
    second.append(go_on())
print(first[:7] == second, *said, sep="\\n")
"""
    assert run_python(BEGIN + script) == f"True\n{REFUSED}\n"


def test_the_main_one_may_come_later() -> None:
    """A refused import leaves nothing behind in the process."""
    script = """
other = create()
print(within(other, IMPORT))
exec(WORK)
first = go_on()
interpreters.destroy(other)
exec(WORK)
print(go_on() == first)
"""
    assert run_python(BEGIN + script) == f"{REFUSED}\nTrue\n"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no GIL of their own before")
def test_one_with_a_gil_of_its_own_is_refused() -> None:
    """By us, or by Python itself, as the module does not say that it could."""
    script = """
exec(WORK)
expected = go_on()
other = create(own_gil=True)
said = within(other, IMPORT)
interpreters.destroy(other)
exec(WORK)
print(go_on() == expected, said)
"""
    refused = {REFUSED, "ImportError: module lstmfast._core does not support loading in subinterpreters"}
    assert run_python(BEGIN + script) in {f"True {said}\n" for said in refused}
