"""What adapters hand to their engines, where none of these is needed to see it."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lstmfast._base import cpu
from lstmfast._bench import engines, problem
from lstmfast._bench.cases import Case
from lstmfast._bench.engines import (
    ENGINES,
    IN_KERAS,
    UnsupportedError,
    ncnn_layers,
    onnx_model,
    onnx_runtime,
    stacked,
)

PLAIN = ["LiteRT", "OpenCV", "ncnn row by row", "MNN", "tract"]
OWN_PROCESS = {*PLAIN, *IN_KERAS, *IN_KERAS.values(), "TensorFlow"}
IN_ORT = ["lstmfast in ONNX Runtime", "lstmfast in ONNX Runtime no spinning"]
NO_CHAINS = [name for name in ENGINES if "ONNX" not in name] + ["ONNX Runtime int8"]


# What they decline, before anything is built ---------------------------------------------------------


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (Case(4, 2, 3, 5, work="train"), "inference only"),
        (Case(4, 2, 3, 5, valid=65), "it takes no lengths"),
        (Case(4, 2, 3, 5, reset=20), "it cannot start a row anew within a sequence"),
        (Case(1, 2, 3, 5, work="pool"), "pools are measured with other engines"),
    ],
)
def test_whole_rows_and_steps_alone(name: str, case: Case, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=f"^{reason}$"):
        engines.load(ENGINES[name], 1, None).prepare(problem.make(case))


@pytest.mark.parametrize(
    ("name", "threads", "case", "reason"),
    [
        ("OpenCV", 1, Case(4, 2, 3, 5, cell="rnn"), "it has no RNN"),
        ("OpenCV", 1, Case(4, 2, 3, 5, directions=2), "the states of its reverse direction"),
        ("LiteRT", 1, Case(4, 2, 3, 5, directions=2), "its operator has one direction"),
        ("tract", 2, Case(4, 2, 3, 5), "it has one thread, and others have more"),
        ("TensorFlow", 1, Case(4, 2, 3, 5, cell="rnn"), "the operator is no RNN"),
        ("TensorFlow", 1, Case(4, 2, 3, 5, cell="gru"), "the operator is no GRU"),
        ("LiteRT", 1, Case(4, 2, 3, 5, cell="gru"), "it has no operator for a GRU"),
        ("OpenVINO", 1, Case(1, 2, 3, 5, work="step", stepwise=True), "step modules are measured with"),
        ("JAX", 1, Case(4, 2, 3, 5, work="train", stepwise=True), "step modules are measured with"),
        ("ONNX Runtime", 1, Case(1, 2, 3, 5, work="step", stepwise=True), "step modules are measured with"),
        ("ONNX Runtime bound", 1, Case(1, 2, 3, 5, work="step", stepwise=True), "step modules are measured"),
        ("PyTorch int8", 1, Case(1, 2, 3, 5, work="step", stepwise=True), "step modules are measured in"),
        *(
            (name, 1, Case(4, 2, 5, 5, work="chain"), "chains of nodes are measured in ONNX Runtime")
            for name in NO_CHAINS
        ),
        *(
            (name, 1, Case(4, 2, 5, 5, work=work), "predict and fit are measured in Keras")
            for work in ("predict", "fit")
            for name in ENGINES
            if "Keras" not in name
        ),
        ("TensorFlow", 1, Case(4, 2, 3, 5, valid=65), "the operator takes one length for all rows"),
        ("TensorFlow", 1, Case(4, 2, 3, 5, work="train", reset=20), "it cannot start a row anew"),
        ("Keras torch", 1, Case(4, 2, 3, 5, work="train", reset=20), "it cannot start a row anew"),
        ("Keras JAX", 1, Case(1, 2, 3, 5, work="pool"), "pools are measured with other engines"),
    ],
)
def test_what_one_alone_declines(name: str, threads: int, case: Case, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=f"^{reason}"):
        engines.load(ENGINES[name], threads, None).prepare(problem.make(case))


def test_these_have_a_process_of_their_own_and_keras_its_backend() -> None:
    found = {name: getattr(engines.load(spec, 1, None), "apart", None) for name, spec in ENGINES.items()}
    assert {name for name, variables in found.items() if variables is not None} == OWN_PROCESS
    for ours, its in IN_KERAS.items():
        backend = its.removeprefix("Keras ").lower()
        assert found[ours] == found[its]
        assert found[its]["KERAS_BACKEND"] == backend  # type: ignore[index]


def test_keras_on_another_backend_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    keras, torch = ModuleType("keras"), ModuleType("torch")
    keras.backend = ModuleType("backend")  # type: ignore[attr-defined]
    keras.backend.backend = lambda: "numpy"
    for module in (keras, torch):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    reason = engines.load(ENGINES["Keras torch"], 1, None).missing()
    assert reason == "keras has taken the backend numpy, not torch"


# ONNX Runtime's int8 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("machine", "features", "isa", "expected"),
    [
        ("x86_64", {"avx2"}, None, True),
        ("x86_64", {"avx2", "avx512f"}, None, True),
        ("x86_64", {"avx2", "avx512f", "avx512vnni"}, None, False),
        ("AMD64", {"avx2", "avxvnni"}, None, False),
        ("x86_64", {"avx2", "avx512f", "avx512vnni"}, "avx2", True),
        ("x86_64", {"avx2", "avx512f", "avx512vnni"}, "avx512", False),
        ("x86_64", {"avx2", "avx512f", "avx512vnni"}, "scalar", False),
        ("x86_64", set(), None, True),  # unknown: as if there were none
        ("aarch64", set(), None, False),
        ("arm64", set(), "neon", False),
    ],
)
def test_sums_overflow_where_there_is_no_vnni(
    machine: str, features: set[str], isa: str | None, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(cpu, "features", lambda: frozenset(features))
    assert onnx_runtime.sums_overflow(isa) is expected


@pytest.mark.parametrize("reduced", [True, False])
def test_its_weights_are_smaller_where_sums_would_overflow(
    reduced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    quantization: Any = ModuleType("onnxruntime.quantization")

    def quantize_dynamic(plain: Path, small: Path, **more: Any) -> None:
        told.append(more)
        small.write_bytes(plain.read_bytes() + b" made small")

    quantization.quantize_dynamic = quantize_dynamic
    monkeypatch.setitem(sys.modules, "onnxruntime.quantization", quantization)
    monkeypatch.setattr(onnx_runtime, "sums_overflow", lambda isa: reduced)
    monkeypatch.setattr(onnx_runtime.OnnxRuntime, "_model", lambda self, task: b"a model")
    engine = onnx_runtime.OnnxRuntimeInt8(1, None)
    assert engine._model(problem.make(Case(4, 2, 3, 5))) == b"a model made small"
    assert told == [{"reduce_range": reduced}]
    assert engine.settings()["quantisation"] == f"quantize_dynamic, reduce_range={reduced}"


def test_the_cpu_s_features_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "processor : 0\nflags\t\t: fpu AVX2 avx512_vnni\nbugs : none\nflags\t\t: other\n"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(cpu, "_read", lambda path: text)
    assert cpu.features() == {"fpu", "avx2", "avx512vnni"}
    monkeypatch.setattr(cpu, "_read", lambda path: "Features : fp asimd\n")
    assert cpu.features() == set()
    monkeypatch.setattr(sys, "platform", "darwin")
    said = {"machdep.cpu.features": "FPU SSE4.2", "machdep.cpu.leaf7_features": "AVX2 AVX512VNNI"}
    monkeypatch.setattr(cpu, "_sysctl", said.__getitem__)
    assert cpu.features() == {"fpu", "sse4.2", "avx2", "avx512vnni"}


# ONNX models whose states are inputs -----------------------------------------------------------------


def test_states_are_inputs_of_sequences_only_where_asked() -> None:
    task = problem.make(Case(4, 2, 3, 5, layers=2))
    assert list(onnx_model.inputs(task)) == ["x"]
    given = onnx_model.inputs(task, stateful=True)
    assert list(given) == ["x", "h0", "c0", "h1", "c1"]
    assert all(given[name].shape == (1, 2, 5) and not given[name].any() for name in list(given)[1:])


def test_results_have_the_truths_shapes() -> None:
    task = problem.make(Case(4, 2, 3, 5, layers=2, directions=2))
    shapes = onnx_model.outputs(task.case)
    made = onnx_model.results({name: np.full(shape, 7.0) for name, shape in shapes.items()}, task)
    assert {name: array.shape for name, array in made.items()} == {
        name: array.shape for name, array in task.truth.items()
    }


# Weights in engines' own orders -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["weight_ih", "weight_hh", "bias_ih", "bias_hh"])
@pytest.mark.parametrize(("cell", "order"), [("lstm", [0, 3, 1, 2]), ("gru", [1, 0, 2]), ("rnn", [0])])
def test_gates_are_put_into_an_engine_s_order(cell: str, order: list[int], kind: str) -> None:
    task = problem.make(Case(4, 1, 3, 2, 2, 2, cell=cell))
    found = dict(
        zip(
            ("weight_ih", "weight_hh", "bias_ih", "bias_hh"),
            stacked.layer_weights(task, 1, lstm="iofg", gru="zrn"),
            strict=True,
        )
    )[kind]
    for array, suffix in zip(found, ("_l1", "_l1_reverse"), strict=True):
        parts = np.split(task.weights[kind + suffix], task.case.gates)
        assert np.array_equal(array, np.concatenate([parts[k] for k in order]))


# ncnn's files ----------------------------------------------------------------------------------------


def test_the_network_as_ncnn_reads_it() -> None:
    assert ncnn_layers._text(Case(4, 2, 3, 5, layers=2, directions=2)).splitlines() == [
        "7767517",
        "7 11",
        "Input x 0 1 x",
        "Input h0 0 1 h0",
        "Input c0 0 1 c0",
        "Input h1 0 1 h1",
        "Input c1 0 1 c1",
        "LSTM layer0 3 3 x h0 c0 y0 h0_n c0_n 0=5 1=120 2=2",
        "LSTM layer1 3 3 y0 h1 c1 y h1_n c1_n 0=5 1=400 2=2",
    ]
    text = ncnn_layers._text(Case(4, 2, 3, 5, cell="rnn"))
    assert text.splitlines()[-1] == "RNN layer0 2 2 x h0 y h0_n 0=5 1=15 2=0"


@pytest.mark.parametrize("cell", ["lstm", "rnn", "gru"])
def test_the_weights_as_ncnn_reads_them(cell: str) -> None:
    task = problem.make(Case(4, 1, 3, 2, directions=2, cell=cell))
    found = ncnn_layers._weights(task)
    gates = task.case.gates
    order = {"lstm": [0, 1, 3, 2], "rnn": [0], "gru": [0, 1, 2]}[cell]
    for kind, width in (("weight_ih", 3), ("bias", 1), ("weight_hh", 2)):
        tag, found = struct.unpack("<i", found[:4])[0], found[4:]
        assert tag == 0
        if (kind, cell) == (
            "bias",
            "gru",
        ):  # r and z have the sum of their two; n has both, one after the other
            both, found = np.frombuffer(found[:64], "<f4").reshape(2, 8), found[64:]
            for array, suffix in zip(both, ("_l0", "_l0_reverse"), strict=True):
                b_ih, b_hh = (task.weights[f"bias_{which}{suffix}"] for which in ("ih", "hh"))
                assert np.array_equal(array, [*(b_ih + b_hh)[:4], *b_ih[4:], *b_hh[4:]])
            continue
        size = 2 * gates * 2 * width
        read, found = np.frombuffer(found[: 4 * size], "<f4").reshape(2, gates, 2, width), found[4 * size :]
        for array, suffix in zip(read, ("_l0", "_l0_reverse"), strict=True):
            if kind == "bias":
                want = task.weights[f"bias_ih{suffix}"] + task.weights[f"bias_hh{suffix}"]
            else:
                want = task.weights[f"{kind}{suffix}"]
            assert np.array_equal(array, want.reshape(gates, 2, width)[order])
    assert found == b""
