"""Each allocation of each public call fails: a MemoryError, nothing changed, nothing left over.

And the same call has the same bits after. In processes of their own; the core's share is
tests/core/test_out_of_memory.cpp, and the calls are in public_calls.py.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from ..core_helpers import run_python
from .compiled_memory import COMPILER, compiled
from .public_calls import CALLS, OWN

PYTHON = """
import sys
from tests.resources import public_calls, trying
trying.main(trying.PythonMemory(), list(public_calls.OWN))
"""
COMPILED = """
import sys
from tests.resources import compiled_memory, public_calls, trying
trying.main(compiled_memory.CompiledMemory(sys.argv[1]), list(public_calls.CALLS))
"""
# Before anything has been called in the process.
FIRST = """
import numpy as np
import lstmfast
from tests.resources import trying

model, memory = lstmfast.LSTM(4, 6, seed=0), trying.PythonMemory()
stream, pool = model.stream(2), model.stream_pool(2)
ids = np.array([pool.open(), pool.open()])
x = np.ones((3, 2, 4), np.float32)
first = x[0]
calls = [lambda: model(x), lambda: stream.run(x), lambda: stream.step(first), lambda: pool.step(ids, first)]
for call in calls:
    memory.begin(0, True)
    try:
        call()
    except MemoryError:
        memory.end()
        print("MemoryError")
    memory.end()
print(*(call() is not None for call in calls))
"""
SAID = re.compile(r"(\d+) calls, (\d+) places, 0 wrong\n")


def places(said: str, calls: int) -> int:
    """How many places a script has tried in all those calls."""
    found = SAID.fullmatch(said)
    assert found, said
    assert int(found[1]) == calls
    return int(found[2])


@pytest.mark.skipif(importlib.util.find_spec("_testcapi") is None, reason="this Python has no _testcapi")
def test_pythons_memory() -> None:
    assert places(run_python(PYTHON, timeout=600), len(OWN)) > 100


@pytest.mark.skipif(
    COMPILER is None or not sys.platform.startswith("linux"), reason="needs a compiler, and Linux"
)
def test_the_memory_of_the_core_and_of_arrays(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    library = str(compiled(tmp_path))
    assert places(run_python(COMPILED, library, timeout=600, LD_PRELOAD=library), len(CALLS)) > 500


@pytest.mark.skipif(importlib.util.find_spec("_testcapi") is None, reason="this Python has no _testcapi")
def test_memory_that_a_first_call_has_not() -> None:
    """What is made once, at a first call, must not be missed for good."""
    assert run_python(FIRST).split() == [*["MemoryError"] * 4, *["True"] * 4]
