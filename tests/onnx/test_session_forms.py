"""Every form of a session: its options, bound arrays, models saved and read again, chains of nodes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast.onnx

from ..core_helpers import unaligned
from ..helpers import Array, assert_same_bits
from .session_helpers import (
    CPU,
    OURS,
    VERSION,
    Node,
    by_runtime,
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
from .session_truth import assert_close, truth

NODE = node_of("LSTM", 6, 3, 5, 9, direction="bidirectional", states=True, lengths=[6, 2, 5])
LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL")


# Options of sessions.


def set_parallel(options: Any) -> None:
    options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    options.inter_op_num_threads = 2


SETTINGS: dict[str, Any] = {
    "parallel": set_parallel,
    "no pattern": lambda options: setattr(options, "enable_mem_pattern", False),
    "no reuse": lambda options: setattr(options, "enable_mem_reuse", False),
    "no arena": lambda options: setattr(options, "enable_cpu_mem_arena", False),
    "deterministic": lambda options: setattr(options, "use_deterministic_compute", True),
    "no packing": lambda options: options.add_session_config_entry("session.disable_prepacking", "1"),
    "denormals": lambda options: options.add_session_config_entry("session.set_denormal_as_zero", "1"),
    "two threads": lambda options: setattr(options, "intra_op_num_threads", 2),
    "without spinning": lambda options: options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    ),
    **{
        level: lambda options, level=level: setattr(
            options, "graph_optimization_level", getattr(onnxruntime.GraphOptimizationLevel, level)
        )
        for level in LEVELS
    },
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(name: str) -> None:
    options = options_of()
    SETTINGS[name](options)
    for _ in range(2):  # the same options for two sessions
        assert_same_bits(run(session_of(model_of(NODE), sess_options=options), NODE.feeds), by_us(NODE))


def test_denormal_numbers_stay() -> None:
    """Also where the session has ONNX Runtime's threads flush them: bits do not depend on it."""
    node = node_of("RNN", 3, 2, 4, 4, activations=["Relu"], bias=False, scale=1e-20)
    node = node.but(X=node.inputs["X"] * np.float32(1e-19))
    options = options_of(session__set_denormal_as_zero="1", threads=2)
    found = run(session_of(model_of(node), sess_options=options, threads=2), node.feeds)
    assert_same_bits(found, by_us(node))
    assert ((found["Y"] > 0) & (found["Y"] < 1e-38)).any()


def test_options_are_not_those_of_the_session_before() -> None:
    options = options_of()
    model = model_of(NODE)
    small = lstmfast.onnx.session(model, options, weights="int8", threads=2, isa="scalar")
    plain = lstmfast.onnx.session(model, options)
    assert_same_bits(run(plain, NODE.feeds), by_us(NODE))
    assert_same_bits(run(small, NODE.feeds), by_us(NODE, weights="int8"))
    if VERSION < (1, 25):  # options are what is handed over there
        entry = "ep.lstmfastexecutionprovider."
        assert options.get_session_config_entry(f"{entry}isa") == ""
        assert options.get_session_config_entry(f"{entry}threads") == "1"


def test_without_options() -> None:
    """Their number of threads is the session's, and it is told what it is."""
    session = lstmfast.onnx.session(model_of(NODE), threads=2)
    assert session.get_session_options().intra_op_num_threads == 2
    assert session.get_session_options().log_severity_level == 3
    assert session.get_providers() == [OURS, CPU]
    assert_same_bits(run(session, NODE.feeds), by_us(NODE))


def test_arguments_go_through() -> None:
    model = model_of(NODE)
    options: dict[str, Any] = {"disabled_optimizers": ["ConstantFolding"], "enable_fallback": 1}
    assert_same_bits(run(lstmfast.onnx.session(model, **options), NODE.feeds), by_us(NODE))
    if VERSION >= (1, 25):
        session = lstmfast.onnx.session(model, providers=[CPU], provider_options=[{}], weights="int8")
        assert session.get_providers() == [OURS, CPU]
        assert_same_bits(run(session, NODE.feeds), by_us(NODE, weights="int8"))


# Saved and read again.


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["onnx", "ort"])
def test_saved_models(kind: str, level: str, tmp_path: Path) -> None:
    """What a session of ours writes is a model like any other, with its weights, and ours again."""
    path = str(tmp_path / f"saved.{kind}")
    options = options_of()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.optimized_model_filepath = path
    expected = run(session_of(model_of(NODE), sess_options=options), NODE.feeds)
    assert_same_bits(run(session_of(path), NODE.feeds), expected)
    assert_close(by_runtime(path, NODE.feeds), expected, 1e-6)
    if kind == "onnx":
        assert [node.op_type for node in onnx.load(path).graph.node] == ["LSTM"]
    assert_same_bits(run(session_of(Path(path).read_bytes()), NODE.feeds), expected)


# Arrays of every form.


def test_bound_arrays() -> None:
    """Results lie where the caller says, and inputs are read where they are."""
    session = session_of(model_of(NODE))
    binding = session.io_binding()
    for name, array in NODE.feeds.items():
        binding.bind_cpu_input(name, array)
    expected = by_us(NODE)
    rooms = {name: np.full_like(array, 7) for name, array in expected.items()}
    for name, room in rooms.items():
        shape, address = room.shape, room.ctypes.data
        binding.bind_output(name, "cpu", 0, np.float32, shape, address)
    for scale in (1, 2):
        NODE.feeds["X"][...] *= scale
        session.run_with_iobinding(binding)
        assert_same_bits(rooms, by_us(NODE))
    NODE.feeds["X"][...] /= 2
    session.run_with_iobinding(binding)
    assert_same_bits(rooms, expected)


def test_arrays_of_other_forms() -> None:
    session = session_of(model_of(NODE))
    expected = by_us(NODE)
    x = NODE.feeds["X"]
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), np.float32)
    wide[..., ::2] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    shifted = np.frombuffer(b"1234" + x.tobytes(), np.float32, offset=4).reshape(x.shape)
    for form in (wide[..., ::2], np.asfortranarray(x), unaligned(x), read_only, shifted):
        assert_same_bits(run(session, {**NODE.feeds, "X": form}), expected)


def test_values_of_onnxruntime() -> None:
    values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in NODE.feeds.items()}
    found = session_of(model_of(NODE)).run_with_ort_values(None, values)
    assert_same_bits([one.numpy() for one in found], list(by_us(NODE).values()))


def test_some_of_the_outputs() -> None:
    session = session_of(model_of(NODE))
    expected = by_us(NODE)
    for names in (["Y_c"], ["Y_h", "Y"], ["Y"]):
        found = session.run(names, NODE.feeds)
        assert_same_bits(found, [expected[name] for name in names])


def test_run_async() -> None:
    session = session_of(model_of(NODE, static=False), intra_op=2)
    done = threading.Event()
    told: list[Any] = []

    def callback(results: list[Array], user_data: object, error: str) -> None:
        told.extend((results, user_data, error))
        done.set()

    session.run_async(None, NODE.feeds, callback, "mine")
    assert done.wait(60)
    assert told[1:] == ["mine", ""]
    assert_same_bits(told[0], list(by_us(NODE).values()))


# Chains.


def chain(nodes: list[Node]) -> Any:
    """Each reads the last one's Y, of one direction, whose axis a Squeeze takes away."""
    steps, constants, x = [], {"axes": np.array([1], np.int64)}, "X"
    for k, node in enumerate(nodes):
        names = {name: f"{name}_{k}" for name in (*node.inputs, "Y")}
        steps.append(made(node, f"node_{k}", {**names, "X": x}))
        steps.append(helper.make_node("Squeeze", [f"Y_{k}", "axes"], [f"x_{k}"]))
        constants |= {f"{name}_{k}": node.inputs[name] for name in ("W", "R", "B")}
        x = f"x_{k}"
    return whole(
        [*steps, helper.make_node("Relu", [x], ["Z"])],
        [value("X", nodes[0].inputs["X"])],
        [output("Z", rank=3)],
        constants,
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_a_chain(threads: int) -> None:
    """Of three cells, the first of which may write where others still read."""
    nodes = [
        node_of("LSTM", 7, 3, 5, 5, wanted=["Y"]),
        node_of("GRU", 7, 3, 5, 9, wanted=["Y"], direction="reverse", linear_before_reset=1),
        node_of("RNN", 7, 3, 9, 4, wanted=["Y"]),
    ]
    x = nodes[0].inputs["X"]
    for node in nodes:
        x = by_us(node.but(X=np.ascontiguousarray(x)))["Y"][:, 0]
    session = session_of(chain(nodes), ours_alone=False, threads=threads, intra_op=threads)
    for _ in range(3):
        assert_same_bits(run(session, nodes[0].feeds), {"Z": np.maximum(x, 0)})


def test_fifty_steps_that_share_their_weights() -> None:
    node = node_of("GRU", 1, 2, 8, 8, wanted=["Y"], bias=True)
    model = chain([node] * 50)
    shared = {name: node.inputs[name] for name in ("W", "R", "B")}
    del model.graph.initializer[:]
    axes = np.array([1], np.int64)
    model.graph.initializer.extend(tensor(name, array) for name, array in {**shared, "axes": axes}.items())
    for each in model.graph.node:
        each.input[:] = [
            name.split("_")[0] if name[:2] in ("W_", "R_", "B_") else name for name in each.input
        ]
    x = node.inputs["X"]
    for _ in range(50):
        x = truth(node.but(X=x))["Y"][:, 0].astype("float32")
    assert_close(run(session_of(model, ours_alone=False), node.feeds), {"Z": np.maximum(x, 0)}, 1e-5)
