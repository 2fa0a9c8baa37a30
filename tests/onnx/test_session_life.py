"""The life of sessions: memory, children of a process, its end, and what outlives what."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ..core_helpers import run_python, users_environment
from ..forks import ENDED
from ..helpers import assert_same_bits
from .session_helpers import by_us, model_of, node_of, onnx, run, session_of

NODE = node_of("LSTM", 30, 8, 32, 64, direction="bidirectional", states=True)

BEGIN = """
import os, sys, threading, time, warnings
import numpy as np
import lstmfast, lstmfast.onnx, onnxruntime
warnings.simplefilter("ignore")
path, threads = sys.argv[1], int(sys.argv[2])
feeds = dict(np.load(path + ".npz"))
def session(**more):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return lstmfast.onnx.session(path, options, **more)
def bits(session):
    return [array.tobytes() for array in session.run(None, feeds)]
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A model's, with what it is fed beside it."""
    onnx.save(model_of(NODE), tmp_path / "model.onnx")
    np.savez(tmp_path / "model.onnx.npz", **NODE.feeds)  # type: ignore[arg-type]
    return str(tmp_path / "model.onnx")


def ends_well(script: str, path: str, threads: int, said: str = "done\n") -> None:
    """It says this on stdout, nothing on stderr, and has exit status 0."""
    quiet = "import os, sys\nos.dup2(1, 2)\n"  # what goes to stderr is what it says
    assert run_python(quiet + BEGIN + script, path, str(threads)) == said


@pytest.mark.parametrize("threads", [1, 2])
def test_the_process_ends_with_sessions_alive(path: str, threads: int) -> None:
    """One in a module that is torn down, one in a circle, one that only the end of the process lets go."""
    ends_well(
        """
import atexit, builtins
kept = session()
circle = [session()]
circle.append(circle)
builtins.kept = session()
expected = bits(kept)
last = session()
atexit.register(lambda: print("done" if bits(last) == expected else "other bits"))
del lstmfast
""",
        path,
        threads,
    )


FORK = """
def fork(body):
    pid = os.fork()
    if pid == 0:
        ok = False
        try:
            ok = body()
        finally:
            os._exit(0 if ok else 3)
    return ended(pid, 60)

one = session()
expected = bits(one)
for _ in range(3):
    assert fork(lambda: all(bits(one) == expected for _ in range(3)))
    assert fork(lambda: bits(session()) == expected)
    assert fork(lambda: fork(lambda: bits(one) == expected))
    assert bits(one) == expected
print("done")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.parametrize("threads", [1, 2])
def test_fork(path: str, threads: int) -> None:
    """Old sessions and new ones compute in children; there ONNX Runtime's threads are none."""
    ends_well(ENDED + FORK, path, threads)


def test_a_child_of_spawn(path: str, tmp_path: Path) -> None:
    """Sessions cannot be pickled; a path can, and gives the same bits there."""
    script = tmp_path / "spawned.py"
    script.write_text(
        """
import multiprocessing, sys
import numpy as np
def bits(path):
    import lstmfast.onnx
    session = lstmfast.onnx.session(path, threads=2)
    return [array.tobytes() for array in session.run(None, dict(np.load(path + ".npz")))]
if __name__ == "__main__":
    expected = bits(sys.argv[1])
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(bits, [sys.argv[1]] * 3) == [expected] * 3
    print(expected[0].hex())
"""
    )
    done = subprocess.run(
        [sys.executable, script, path],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=users_environment(),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert bytes.fromhex(done.stdout) == by_us(NODE)["Y"].tobytes()


# What outlives what.


def test_a_session_outlives_its_model_and_its_twins() -> None:
    """Whose packed weights are one."""
    expected = by_us(NODE)
    model = model_of(NODE)
    sessions = [session_of(model) for _ in range(3)]
    del model
    while sessions:
        assert_same_bits(run(sessions[0], NODE.feeds), expected)
        del sessions[0]
        gc.collect()
    assert_same_bits(by_us(NODE), expected)


def test_results_outlive_their_session() -> None:
    session = session_of(model_of(NODE))
    found = run(session, NODE.feeds)
    copies = {name: array.copy() for name, array in found.items()}
    del session
    gc.collect()
    by_us(node_of("LSTM", 30, 8, 32, 64, direction="bidirectional", states=True, seed=9))
    assert_same_bits(found, copies)


# Memory.

GROWTH = """
import gc, os, sys
import numpy as np
import lstmfast.onnx, onnxruntime
path, small, whose, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if whose == "ours":
        return lstmfast.onnx.session(path, options)
    return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
def resident():
    gc.collect()
    with open("/proc/self/statm") as told:
        return int(told.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
def run(one):
    shape = one.get_inputs()[0].shape
    one.run(None, {"X": np.zeros(shape, np.float32)})
run(session(small))
before = resident()
sessions = []
for _ in range(count):
    sessions.append(session(path))
    run(sessions[-1])
after = resident()
sessions.clear()
session(path)  # takes what the others have left
print(after - before, resident() - before)
"""


@pytest.mark.alone
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory(tmp_path: Path) -> None:
    """A model of 32 MiB: no more than in ONNX Runtime's own sessions, and three have it once."""
    for name, size in (("large", 1024), ("small", 8)):
        onnx.save(model_of(node_of("LSTM", 1, 1, size, size, bias=False)), tmp_path / f"{name}.onnx")

    def growth(whose: str, count: int) -> tuple[float, float]:
        arguments = (str(tmp_path / "large.onnx"), str(tmp_path / "small.onnx"), whose, str(count))
        said = run_python(GROWTH, *arguments)
        alive, afterwards = map(float, said.split())
        return alive, afterwards

    ours, theirs = ({count: growth(whose, count) for count in (1, 3)} for whose in ("ours", "theirs"))
    assert 31 < ours[1][0] < theirs[1][0] + 3
    assert ours[3][0] < ours[1][0] + 6
    assert ours[3][0] < theirs[3][0] / 2
    assert ours[3][1] < ours[1][0] + 3  # all of it went with the last session, or is kept as the core's spare
