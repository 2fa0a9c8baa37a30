"""How long a stream's calls take from Python, and how threads with a stream each scale. Not run by default.

`pytest -m speed`, on a quiet machine. Beside other engines: `lstmfast bench step`.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import sysconfig
import timeit
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..core_helpers import run_python

pytestmark = [
    pytest.mark.speed,
    pytest.mark.skipif(lstmfast.isa() != lstmfast.available_isas()[0], reason="the fastest there is"),
]

EMPTY = """
#include <pybind11/numpy.h>
PYBIND11_MODULE(empty, m) {
  m.def("empty", [](const pybind11::array_t<float>&, const pybind11::array_t<float>&) {});
}
"""


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An empty function of two arrays, bound with pybind11."""
    pybind11 = pytest.importorskip("pybind11")
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("there is no compiler")
    folder: Path = tmp_path_factory.mktemp("empty")
    source, built = folder / "empty.cpp", folder / f"empty{sysconfig.get_config_var('EXT_SUFFIX')}"
    source.write_text(EMPTY)
    paths = [f"-I{pybind11.get_include()}", f"-I{sysconfig.get_path('include')}"]
    options = ["-O3", "-std=c++17", "-shared", "-fPIC", "-fvisibility=hidden"]
    if sys.platform == "darwin":
        options += ["-undefined", "dynamic_lookup"]
    subprocess.run([compiler, *options, *paths, str(source), "-o", str(built)], check=True)
    spec = importlib.util.spec_from_file_location("empty", built)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.empty


def nanoseconds(call: str, **names: Any) -> float:
    return min(timeit.repeat(call, globals=names, number=50_000, repeat=20)) / 50_000 * 1e9


@pytest.mark.usefixtures("threads")
def test_a_step_costs_less_than_an_empty_function(empty: Any) -> None:
    """Even with its arithmetic, which for one unit is mostly the time of two activations."""
    lstmfast.set_num_threads(1)
    stream = lstmfast.LSTM(1, 1, seed=0).stream()
    x, y = np.zeros(1, np.float32), np.zeros(1, np.float32)
    ours = nanoseconds("stream.step(x, out=y)", stream=stream, x=x, y=y)
    theirs = nanoseconds("empty(x, y)", empty=empty, x=x, y=y)
    print(f"\na step of one unit {ours:.0f} ns, an empty function of two arrays {theirs:.0f} ns")
    assert ours < theirs


THREADS = """
import json, sys, threading, time
import numpy as np
import lstmfast

H, T, calls = map(int, sys.argv[1:])
lstmfast.set_num_threads(1)
model = lstmfast.LSTM(H, H, seed=0)

def rate(threads):
    "Calls a second, of all threads together."
    meeting, times = threading.Barrier(threads), []

    def work():
        stream = model.stream()
        x = np.zeros((T, H), np.float32) if T > 1 else np.zeros(H, np.float32)
        call = stream.run if T > 1 else stream.step
        y = call(x)
        meeting.wait()
        begin = time.perf_counter()
        for _ in range(calls):
            call(x, out=y)
        times.append((begin, time.perf_counter()))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return threads * calls / (max(end for _, end in times) - min(begin for begin, _ in times))

rates = [(rate(1), rate(2)) for _ in range(9)]
print(json.dumps([max(one for one, _ in rates), max(two for _, two in rates)]))
"""


@pytest.mark.parametrize(
    ("hidden", "steps", "calls", "wanted"),
    [
        (64, 32, 2_000, 1.8),
        (128, 32, 500, 1.8),
        (256, 32, 150, 1.8),
        (256, 1, 3_000, 1.5),
        (512, 1, 800, 1.5),
    ],
)
def test_threads_with_a_stream_each(hidden: int, steps: int, calls: int, wanted: float) -> None:
    one, two = json.loads(run_python(THREADS, str(hidden), str(steps), str(calls)))
    print(
        f"\nH={hidden}, chunks of {steps}: {1e6 / one:.2f} us a call, two threads {two / one:.2f} times that"
    )
    assert two / one >= wanted
