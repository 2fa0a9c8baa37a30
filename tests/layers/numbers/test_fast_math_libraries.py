"""A library linked with -ffast-math flushes denormals in the thread that loads it, and in its children.

GCC puts that into what runs when a library is loaded, up to GCC 12 whenever it links one with this option,
later where it is asked to. So a program's arithmetic changes by an import. The core's does not.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ...core_helpers import run_python

COMPILER = shutil.which("cc")
pytestmark = pytest.mark.skipif(
    COMPILER is None or sys.platform != "linux", reason="there is no compiler to make such a library"
)

# Prints, for every way of the core, a digest of all its results; and before and after the library was loaded,
# whether NumPy's products become denormal.
SCRIPT = """
import ctypes, hashlib, json, sys
from threading import Thread
import numpy as np

library, when = sys.argv[1:]

def load():
    ctypes.CDLL(library)

def keeps_denormals():
    return bool(np.full(64, 2.0**-126, np.float32)[0] * np.float32(0.5) > 0)

least, rng = np.float32(2.0**-126), np.random.default_rng(0)
def tiny(*shape):
    return (rng.standard_normal(shape) * 4).astype(np.float32) * least
x, h, c, dy = tiny(5, 16, 64), tiny(1, 16, 256), tiny(1, 16, 256), tiny(5, 16, 256)
weights = {"weight_ih_l0": tiny(1024, 64), "weight_hh_l0": tiny(1024, 256), "bias_ih_l0": tiny(1024),
           "bias_hh_l0": tiny(1024)}
kept = [keeps_denormals()]
if when == "before the import":
    load()
import lstmfast
lstmfast._core.ignore_crowding(True)  # all threads take part, also on a busy machine

lstm = lstmfast.LSTM(64, 256, seed=0)
def digest(*arrays):
    sizes = [a.view(np.uint32) & 0x7fffffff for a in arrays]
    assert any(((size > 0) & (size < 0x800000)).any() for size in sizes), "nothing denormal is there to lose"
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()

def all_ways():
    lstm.update(weights)
    small = lstm.quantize("float16")
    found, state = {}, (h, c)
    for threads in (2, 4):
        lstmfast.set_num_threads(threads)
        for _ in range(2):
            y, end = lstm(x, state)
            found[f"call, {threads} threads"] = digest(y, *end)
    y, end, tape = lstm.forward(x, state)
    grads = lstm.backward(tape, dy)
    found["training"] = digest(y, *end, grads.x, *grads.state, *grads.parameters.values())
    stream = lstm.stream(batch=16)
    stream.state = state
    found["stream"] = digest(stream.step(x[0]), stream.run(x[1:]), *stream.state)
    pool = lstm.stream_pool(capacity=16)
    ids = [pool.open() for _ in range(16)]
    found["pool"] = digest(*(pool.step(ids, frame) for frame in x))
    found["float16"] = hashlib.sha256(small(x, state)[0].tobytes()).hexdigest()
    return found

if when == "after the import":
    load()  # threads are made after it
if when == "after the threads were made":
    all_ways()
    load()
found = {}
if when == "in another thread":
    other = Thread(target=lambda: (load(), found.update(all_ways())))
    other.start()
    other.join()
else:
    found = all_ways()
kept.append(keeps_denormals())
print(json.dumps([found, kept]))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One that flushes them when it is loaded, or the test is skipped: not every compiler has that."""
    folder = tmp_path_factory.mktemp("fast")
    source, made = folder / "fast.c", folder / "fast.so"
    source.write_text("float half(float x) { return x / 2; }\n")
    for more in (["-mdaz-ftz"], []):  # from GCC 13 on it must be said
        command = [
            str(COMPILER),
            "-O2",
            "-shared",
            "-fPIC",
            "-ffast-math",
            *more,
            str(source),
            "-o",
            str(made),
        ]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            check = f"import ctypes; ctypes.CDLL({str(made)!r}); print(2.0**-1022 * float('0.5') > 0)"
            if run_python(check).strip() == "False":
                yield str(made)
                return
    pytest.skip("this compiler's -ffast-math does nothing when a library is loaded")


@pytest.fixture(scope="module")
def expected() -> dict[str, str]:
    """Without such a library."""
    found, kept = json.loads(run_python(SCRIPT, "", "never"))
    assert kept == [True, True]
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "when", ["before the import", "after the import", "after the threads were made", "in another thread"]
)
def test_the_same_bits(library: str, expected: dict[str, str], when: str) -> None:
    found, kept = json.loads(run_python(SCRIPT, library, when))
    assert kept == [
        True,
        when == "in another thread",
    ]  # NumPy's own are flushed, in the thread that loaded it
    assert found == expected


def test_we_are_no_such_library() -> None:
    """Nor is any that we bring along: what a program computes does not change when it imports lstmfast."""
    script = "import lstmfast; lstmfast.LSTM(2, 3); print(2.0**-1022 * float('0.5') > 0)"
    assert run_python(script).strip() == "True"
