"""The end of an interpreter while threads are inside the core: no crash, no hang, nothing said, its status.

Threads of Python that are daemons are left where they are then; the core's own end with the process.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ..core_helpers import users_environment
from .ending import BUSY, CHILDREN, ENDS, WORKS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no fork")


def run(body: str, *arguments: str) -> tuple[str, str]:
    """What a script says that begins as these do; it must end well itself."""
    done = subprocess.run(
        [sys.executable, "-c", CHILDREN + WORKS + BUSY + body, *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=users_environment(),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize(("end", "status"), ENDS.items())
def test_daemon_threads_at_work(end: str, status: int, tmp_path: Path) -> None:
    """However the process ends, whatever the threads are at."""
    body = "print(*set(ends(sys.argv[1], len(NAMES))))"
    assert run(body, end, str(tmp_path)) == (f"{status}\n", "")


EXECUTOR = """
from concurrent.futures import ThreadPoolExecutor
def scenario(n):
    executor = ThreadPoolExecutor(3)
    jobs = [globals()[NAMES[n]]() for _ in range(3)]
    done = []
    for job in jobs:
        executor.submit(lambda job=job: done.append(job()))
    atexit.register(lambda: None if len(done) == 3 else os._exit(6))
    sys.exit(3)
print(*set(children(scenario, len(NAMES))))
"""


def test_an_executor_at_work() -> None:
    """Its threads are no daemons: what they have begun is done before the interpreter ends."""
    assert run(EXECUTOR, "", "/dev/null") == ("3\n", "")


ALIVE = """
class Late:
    "Uses what it has when the interpreter drops it."
    def __init__(self, job):
        self.job, self.me = job, self  # a cycle: dropped by the collector, or never
    def __del__(self):
        try:
            self.job()
        except BaseException as error:  # NumPy or modules may be gone
            pass

def scenario(n):
    global kept
    model = lstmfast.LSTM(8, 16, 2, seed=0)
    y, _, tape = model.forward(ones(5, 2, 8))
    grads = model.backward(tape, y)
    stream, pool = model.stream(), model.stream_pool(3)
    ids = [pool.open() for _ in range(3)]
    held = threading.local()
    held.stream = model.stream()
    cycle = [tape, grads, stream, pool, y]
    cycle.append(cycle)
    def going():
        while True:
            yield stream.step(ones(8)), model(ones(5, 2, 8), out=out)
    out = model(ones(5, 2, 8))
    generator = going()
    next(generator)
    sys.modules["late"] = late = type(sys)("late")
    late.things = [Late(lambda: model.backward(tape, y)), Late(lambda: stream.step(ones(8))),
                   Late(lambda: pool.step(ids, ones(3, 8))), Late(lambda: lstmfast.GRU(3, 4)(ones(2, 1, 3)))]
    kept = (cycle, generator, held, late, Late(globals()[NAMES[n]]()), tape, stream, pool)
    builtins = __import__("builtins")
    builtins.kept = kept
    if n % 2:
        sys.exit(3)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    atexit.register(os.kill, os.getpid(), signal.SIGTERM)  # a signal while the interpreter ends
    sys.exit(3)
print(*set(children(scenario, len(NAMES))))
"""


def test_objects_that_are_alive_to_the_end(tmp_path: Path) -> None:
    """Tapes, streams, pools and half-used generators, in globals, cycles and modules, and used late."""
    assert run(ALIVE, "", str(tmp_path))[0] == "3\n"
