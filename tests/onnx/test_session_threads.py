"""Threads: ONNX Runtime's work on our nodes when they have time, and calls come from many: the same bits."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..core_helpers import run_python
from ..helpers import assert_same_bits
from ..together import together
from .session_helpers import (
    Node,
    by_us,
    helper,
    made,
    model_of,
    node_of,
    onnx,
    onnxruntime,
    options_of,
    output,
    run,
    session_of,
    tensor,
    value,
    whole,
)
from .session_truth import by_layer, layer_of

# Shared by rows, by directions (wait after the loop) and by panels (wait after each step), and brief work.
NODES = {
    "rows": node_of("LSTM", 12, 16, 32, 64, states=True),
    "directions": node_of("GRU", 90, 1, 40, 60, direction="bidirectional"),
    "panels": node_of("LSTM", 20, 1, 70, 256),
    "two networks": node_of(
        "RNN", 40, 6, 20, 64, direction="bidirectional", activations=["Tanh", "Relu"], scale=0.3
    ),
    "brief": node_of("LSTM", 1, 1, 64, 200),
    "float64": node_of("LSTM", 12, 16, 32, 64, dtype="float64"),
}


def jobs_of(node: Node, session: Any, count: int = 12) -> Callable[[], None]:
    expected = by_us(node)

    def job() -> None:
        for _ in range(count):
            assert_same_bits(run(session, node.feeds), expected)

    return job


@pytest.mark.parametrize("spinning", ["0", "1"])
@pytest.mark.parametrize("intra_op", [1, 2, 3])
def test_many_callers_of_each_session(intra_op: int, spinning: str) -> None:
    """A session's threads are busy with one call when the next one asks for them."""
    jobs = []
    for node in NODES.values():
        options = options_of(threads=intra_op, session__intra_op__allow_spinning=spinning)
        session = session_of(model_of(node), sess_options=options, threads=2)
        jobs += [jobs_of(node, session)] * 2
    together(jobs)


@pytest.mark.parametrize("threads", [2, 4])
def test_one_thread_of_onnxruntime_and_more_of_ours_asked_for(threads: int) -> None:
    """All visits are then the caller's own, one after another: nobody is waited for."""
    for node in NODES.values():
        session = session_of(model_of(node), sess_options=options_of(threads=1), threads=threads)
        jobs_of(node, session, 30)()


def test_the_processs_number_of_threads(threads: None) -> None:
    """Counts where a session says none, at each call."""
    node = NODES["rows"]
    options = options_of(threads=0)
    session = session_of(model_of(node), sess_options=options)
    expected = by_us(node)
    for count in (1, 2, 5, 1):
        lstmfast.set_num_threads(count)
        for _ in range(3):
            assert_same_bits(run(session, node.feeds), expected)


def test_beside_layers_of_ours(threads: None) -> None:
    """Whose threads are the core's: both at once, and in turns on one thread."""
    lstmfast.set_num_threads(2)
    jobs: list[Callable[[], None]] = []
    for node in (NODES["rows"], NODES["panels"]):
        session = session_of(model_of(node), intra_op=2, threads=2)
        layer, expected = layer_of(node), by_us(node)

        def job(
            node: Node = node, session: Any = session, layer: Any = layer, expected: Any = expected
        ) -> None:
            for _ in range(15):
                assert_same_bits(run(session, node.feeds), expected)
                assert_same_bits(by_layer(node, layer), expected)

        jobs += [job, job]
    together(jobs)


def test_changes_of_the_number_of_threads_during_calls(threads: None) -> None:
    sessions = [
        (node, session_of(model_of(node), sess_options=options_of(threads=0))) for node in NODES.values()
    ]

    def change() -> None:
        for n in range(4000):
            lstmfast.set_num_threads(1 + n % 4)

    together([change, *(jobs_of(node, session) for node, session in sessions)])


# In parallel with other nodes.


def side_by_side() -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """A model whose nodes do not wait for each other, beside products that use all threads."""
    nodes, outputs = [], []
    constants: dict[str, Any] = {}
    expected: dict[str, Any] = {}
    first = NODES["panels"]
    for k in range(4):
        node = node_of("LSTM", 20, 1, 70, 256, seed=10 * k, wanted=["Y"])
        names = {name: f"{name}_{k}" for name in ("W", "R", "B", "Y")}
        nodes.append(made(node, f"node_{k}", names))
        nodes.append(helper.make_node("MatMul", ["X", f"M_{k}"], [f"P_{k}"]))
        constants |= {f"{name}_{k}": node.inputs[name] for name in ("W", "R", "B")}
        constants[f"M_{k}"] = node.inputs["W"][0].T.copy()
        outputs += [output(f"Y_{k}", rank=4), output(f"P_{k}", rank=3)]
        expected[f"Y_{k}"] = by_us(node.but(X=first.inputs["X"]))["Y"]
    return whole(nodes, [value("X", first.inputs["X"])], outputs, constants), first.feeds, expected


@pytest.mark.parametrize("callers", [1, 3])
def test_nodes_at_once(callers: int) -> None:
    model, feeds, expected = side_by_side()
    options = options_of(ours_alone=False, threads=2)
    options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    options.inter_op_num_threads = 3
    session = session_of(model, sess_options=options, threads=2)

    def job() -> None:
        for _ in range(10):
            found = run(session, feeds)
            assert_same_bits({name: found[name] for name in expected}, expected)

    together([job] * callers)


def test_in_the_body_of_a_loop() -> None:
    """Many calls in a row, in an inner graph."""
    node = NODES["panels"]
    one = Node(node.operator, node.inputs, node.attributes, ("Y",))
    flag = helper.make_tensor_value_info
    body = helper.make_graph(
        [made(one), helper.make_node("Identity", ["go"], ["go_on"])],
        "body",
        [flag("k", 7, []), flag("go", 9, [])],
        [flag("go_on", 9, []), output("Y")],
        [tensor(name, node.inputs[name]) for name in ("W", "R", "B")],
    )
    model = whole(
        [helper.make_node("Loop", ["count", ""], ["Ys"], body=body)],
        [value("X", node.inputs["X"]), flag("count", 7, [])],
        [output("Ys", rank=5)],
    )
    session = session_of(model, ours_alone=False, intra_op=2, threads=2)
    found = run(session, {"X": node.inputs["X"], "count": np.array(20, np.int64)})["Ys"]
    assert_same_bits(found, np.stack([by_us(one)["Y"]] * 20))


# In processes of their own.

GLOBAL = """
import sys
import numpy as np
import lstmfast.onnx, onnxruntime
onnxruntime.set_global_thread_pool_sizes(2, 1)
path, shape = sys.argv[1], tuple(map(int, sys.argv[2].split(",")))
x = np.random.default_rng(0).standard_normal(shape).astype("f")
options = onnxruntime.SessionOptions()
options.log_severity_level = 3
options.use_per_session_threads = False
sessions = [lstmfast.onnx.session(path, options, threads=n) for n in (1, 2, 2)]
found = {one.run(None, {"X": x})[0].tobytes() for _ in range(20) for one in sessions}
assert len(found) == 1
print("done")
"""


@pytest.mark.skipif(not hasattr(onnxruntime, "set_global_thread_pool_sizes"), reason="not in this version")
def test_threads_of_all_sessions(tmp_path: Any) -> None:
    node = NODES["panels"]
    onnx.save(model_of(node), tmp_path / "model.onnx")
    shape = ",".join(map(str, node.inputs["X"].shape))
    assert run_python(GLOBAL, str(tmp_path / "model.onnx"), shape) == "done\n"


USED = """
import os, sys, time
import numpy as np
import lstmfast.onnx, onnxruntime
path, shape = sys.argv[1], tuple(map(int, sys.argv[2].split(",")))
x = np.zeros(shape, np.float32)
options = onnxruntime.SessionOptions()
options.log_severity_level = 3
options.intra_op_num_threads = int(sys.argv[3])
session = lstmfast.onnx.session(path, options, threads=int(sys.argv[4]))
def times():
    "Seconds of CPU that each thread has had."
    found = {}
    for name in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{name}/schedstat") as told:
            found[name] = int(told.read().split()[0]) / 1e9
    return found
def work(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        session.run(None, {"X": x})
work(0.2)
before = times()
work(0.6)
spent = sorted((after - before.get(name, 0) for name, after in times().items()), reverse=True)
print(sum(spent[1:]) / spent[0])
"""


@pytest.mark.alone
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="takes two CPUs")
@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="reads /proc")
def test_threads_of_onnxruntime_are_used(tmp_path: Any) -> None:
    """Where work is worth it and it has any; on a busy machine they may not come in most attempts."""
    node = node_of("LSTM", 100, 16, 64, 256)
    onnx.save(model_of(node), tmp_path / "model.onnx")
    shape = ",".join(map(str, node.inputs["X"].shape))

    def others(intra_op: int, threads: int) -> float:
        """How much of the caller's time others have had."""
        return float(run_python(USED, str(tmp_path / "model.onnx"), shape, str(intra_op), str(threads)))

    for intra_op, threads in ((1, 1), (1, 2), (2, 1)):
        assert others(intra_op, threads) < 0.02
    assert any(others(2, 2) > 0.2 for _ in range(5))
