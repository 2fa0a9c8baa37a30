"""Every engine that is installed computes what the reference does, in a measuring process of its own.

In a process of its own: engines start threads that do not go away, and tests that fork would meet them.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast._base.kinds import BY_NAME
from lstmfast._bench import engines, problem, session
from lstmfast._bench.cases import CELLS, Case, Cell, Work
from lstmfast._bench.engines import ENGINES, IN_KERAS, IN_ONNX_RUNTIME, OURS, QUANTIZED, UnsupportedError
from lstmfast._bench.worker import Request
from lstmfast.reference import Reference

NEEDS = {
    **{name: ["numpy"] for name in (OURS, *QUANTIZED)},
    "NumPy": ["numpy"],
    "lstmfast.torch": ["torch"],
    "lstmfast.torch frozen": ["torch"],
    "PyTorch": ["torch"],
    "PyTorch int8": ["torch"],
    "ONNX Runtime": ["onnxruntime", "onnx"],
    **{name: ["onnxruntime", "onnx"] for pair in IN_ONNX_RUNTIME.items() for name in pair},
    "ONNX Runtime int8": ["onnxruntime", "onnx"],
    "OpenVINO": ["openvino"],
    "JAX": ["jax"],
    "lstmfast in JAX": ["jax"],
    **{
        name: ["tensorflow" if "TensorFlow" in name else "torch" if "torch" in name else "jax", "keras"]
        for pair in IN_KERAS.items()
        for name in pair
    },
    "TensorFlow": ["tensorflow"],
    "LiteRT": ["ai_edge_litert", "flatbuffers"],
    "OpenCV": ["cv2", "onnx"],
    "ncnn row by row": ["ncnn"],
    "MNN": ["MNN", "onnx"],
    "tract": ["tract", "onnx"],
}
CASES = [
    Case(7, 1, 3, 5),
    Case(
        60, 4, 64, 8, layers=2
    ),  # inputs large enough for their memory to be taken by others once it is freed
    Case(5, 2, 3, 25, layers=2, directions=2),
    Case(1, 1, 4, 20, work="step"),
    Case(1, 2, 3, 8, layers=2, directions=2, work="step"),
    Case(6, 2, 3, 5, work="train"),
    Case(5, 3, 4, 8, layers=2, directions=2, work="train"),
    Case(6, 3, 3, 5, layers=2, directions=2, cell="rnn"),
    Case(1, 2, 4, 8, layers=2, work="step", cell="rnn"),
    Case(1, 5, 3, 8, work="pool"),
    Case(1, 3, 4, 9, layers=2, work="pool", cell="rnn"),
    Case(6, 2, 3, 5, layers=2, directions=2, work="train", cell="rnn"),
    Case(40, 4, 64, 8, valid=65),
    Case(9, 5, 3, 8, layers=2, directions=2, valid=40),
    Case(9, 5, 3, 8, layers=2, directions=2, work="train", valid=65),
    Case(9, 5, 3, 8, layers=3, cell="rnn", valid=65),
    Case(9, 5, 3, 8, directions=2, work="train", cell="rnn", valid=65),
    Case(40, 4, 64, 8, reset=5),
    Case(9, 5, 3, 8, layers=2, work="train", reset=20),
    Case(9, 5, 3, 8, layers=2, directions=2, reset=20),
    Case(9, 5, 3, 8, layers=2, directions=2, work="train", reset=20),
    Case(9, 5, 3, 8, layers=2, cell="rnn", reset=20),
    Case(9, 5, 3, 8, work="train", cell="rnn", reset=20),
    Case(6, 3, 3, 5, layers=2, directions=2, cell="gru"),
    Case(1, 2, 4, 20, layers=2, work="step", cell="gru"),
    Case(1, 3, 4, 9, layers=2, work="pool", cell="gru"),
    Case(6, 2, 3, 5, layers=2, directions=2, work="train", cell="gru"),
    Case(40, 4, 64, 8, layers=2, cell="gru", valid=65),
    Case(9, 5, 3, 8, directions=2, work="train", cell="gru", valid=65),
    Case(9, 5, 3, 8, layers=2, cell="gru", reset=20),
    Case(9, 5, 3, 8, layers=2, work="train", cell="gru", reset=20),
    *(Case(1, 2, 4, 8, work="step", cell=cell, stepwise=True) for cell in CELLS),
    *(Case(6, 2, 3, 8, work="train", cell=cell, stepwise=True) for cell in CELLS),
    *(Case(5, 2, 8, 8, work="chain", cell=cell) for cell in CELLS),
    *(Case(6, 2, 3, 5, work=work, cell=cell) for cell in CELLS for work in ("predict", "fit")),
    *(Case(9, 5, 3, 8, layers=2, directions=2, work=work, valid=65) for work in ("predict", "fit")),
    Case(9, 2, 3, 8, layers=2, work="train", recompute=True),
]


RIVALS_INT8 = {"PyTorch int8", "ONNX Runtime int8"}
# Whole rows and steps, and nothing else.
PLAIN = {"LiteRT", "OpenCV", "ncnn row by row", "MNN", "tract"}
IN_ORT = {"ONNX Runtime", *IN_ONNX_RUNTIME, *IN_ONNX_RUNTIME.values()}
INFERENCE_ALONE = {*IN_ORT, "OpenVINO", *RIVALS_INT8, *QUANTIZED, *PLAIN}
KERAS = {*IN_KERAS, *IN_KERAS.values()}
NO_POOLS = {"NumPy", "OpenVINO", "JAX", "lstmfast in JAX", "TensorFlow", *KERAS, *PLAIN}
PRECISIONS = dict.fromkeys(RIVALS_INT8, "int8") | dict(
    zip(QUANTIZED, ("float16", "bfloat16", "int8"), strict=True)
)
# Between which the differences lie: at least that of no float32 in disguise.
DIFFERENCES = {"float16": (1e-5, 1.3e-3), "bfloat16": (1e-4, 1e-2), "int8": (1e-4, 0.1), "float32": (0, 5e-6)}


def unsupported(name: str, case: Case) -> str:
    """Why an engine does not do a case; nothing if it does."""
    if case.work == "chain" and name not in IN_ORT:
        return "chains of nodes are measured in ONNX Runtime"
    if case.work in {"predict", "fit"} and name not in KERAS:
        return "predict and fit are measured in Keras"
    if case.work == "pool" and name in NO_POOLS:
        return "pools are measured with other engines"
    if case.stepwise and (name in NO_POOLS or (case.work == "step" and "ONNX" in name)):
        return "step modules are measured with other engines"
    if case.stepwise and name == "PyTorch int8":
        return "step modules are measured in float32"
    if case.reset and name in KERAS:
        return "it cannot start a row anew within a sequence"
    if case.work not in {"predict", "fit"} and "Keras TensorFlow" in name:
        return "Keras on TensorFlow is measured by predict and fit"
    if case.work == "train" and "frozen" in name:
        return "frozen weights have no gradient"
    if name.startswith("lstmfast.torch") and not in_lstmfast_torch(case):
        return f"it has no {case.kind.name}{'Cell' if case.stepwise else ''}"
    if case.work == "train" and name in INFERENCE_ALONE:
        return "inference only"
    if name == "NumPy" and (case.valid < 100 or case.reset):
        return "it would run each row's pieces alone, which is no batch"
    if case.valid < 100 and name in PLAIN:
        return "it takes no lengths"
    if name == "TensorFlow" and case.cell != "lstm":
        return f"the operator is no {case.kind.name}"
    if name == "TensorFlow" and case.valid < 100:
        return "the operator takes one length for all rows"
    if case.reset and name in {*PLAIN, "TensorFlow"}:
        return "it cannot start a row anew within a sequence"
    if name == "OpenCV" and case.cell == "rnn":
        return "it has no RNN"
    if name == "OpenCV" and case.directions == 2:
        return "the states of its reverse direction are those of the last time step"
    if name == "LiteRT" and case.cell == "gru":
        return "it has no operator for a GRU"
    if name == "LiteRT" and case.directions == 2:
        return "its operator has one direction"
    if case.reset and name in INFERENCE_ALONE - {"PyTorch int8", *QUANTIZED}:
        return "its operators cannot start a row anew within a sequence"
    if name in RIVALS_INT8 and case.cell in {"rnn", *(["gru"] if "ONNX" in name else [])}:
        return f"quantize_dynamic has no {case.kind.name}"
    if case.reset and case.directions == 2 and (name.startswith("lstmfast.torch") or "PyTorch" in name):
        return "from run to run only the forward direction's state can be carried on"
    return ""


def in_lstmfast_torch(case: Case) -> bool:
    """Whether lstmfast.torch has what runs a case: a module of its kind, or of its steps."""
    ours = importlib.import_module("lstmfast.torch")
    return hasattr(ours, f"{case.kind.name}Cell" if case.stepwise else case.kind.name)


def installed(name: str) -> bool:
    return all(importlib.util.find_spec(module) for module in NEEDS[name])


def test_every_engine_is_known_here() -> None:
    assert set(NEEDS) == set(ENGINES)


@pytest.fixture(scope="module")
def told() -> list[dict[str, Any]]:
    """All events of a run of every engine."""
    return list(session.events(Request(CASES, ENGINES, 1, None, seconds=0.002, probe_seconds=0.001)))


@pytest.fixture(scope="module")
def rows(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event["cells"] for event in told if event["event"] == "row"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label.replace(" ", "-"))
@pytest.mark.parametrize(
    "name",
    # Beside PyTorch is what needs nothing else.
    [pytest.param(name, marks=[pytest.mark.beside_torch] * (NEEDS[name] == ["torch"])) for name in ENGINES],
)
def test_results_are_the_references(name: str, case: Case, rows: list[dict[str, Any]]) -> None:
    if not installed(name):
        pytest.skip(f"{name} is not installed")
    cell = rows[CASES.index(case)][name]
    if reason := unsupported(name, case):
        assert cell == {"status": "unsupported", "note": reason}
        return
    assert cell["status"] == "ok", cell["note"]
    least, most = DIFFERENCES[PRECISIONS.get(name, "float32")]
    assert least <= cell["difference"] < most
    assert len(cell["seconds"]) >= 3
    assert min(cell["seconds"]) > 0
    assert ("tape_bytes" in cell) == (name == OURS and case.work == "train")


def test_a_tape_has_the_bytes_that_our_own_says(rows: list[dict[str, Any]]) -> None:
    case = CASES[-1]
    model = problem.model(case, seed=0)
    x = problem.make(case).x
    plain, small = (model.forward(x, recompute=recompute)[2].nbytes for recompute in (False, True))
    assert rows[-1][OURS]["tape_bytes"] == small < plain


@pytest.mark.parametrize("name", ENGINES)
def test_what_it_was_told_is_known(name: str, told: list[dict[str, Any]]) -> None:
    (engine,) = (event for event in told if event["event"] == "engine" and event["name"] == name)
    assert engine["precision"] == PRECISIONS.get(name, "float32")
    if not installed(name):
        assert "is not installed" in engine["missing"]
        return
    assert engine["missing"] is None
    assert engine["version"][0].isdigit()
    settings = engine["settings"]
    (threads,) = (value for key, value in settings.items() if "threads" in key.lower())
    assert "1" in threads
    assert "instruction set" in settings


class Recorder:
    """A model that keeps what it is told, and returns what comes from nowhere else."""

    def __init__(self, case: Case) -> None:
        self.told: list[Any] = []
        self.nbytes = 4  # of the tape, which it is, too
        self.state = (np.full(2, 8.0), np.full(2, 9.0)) if case.kind.has_memory else np.full(2, 8.0)

    def load_state_dict(self, weights: object) -> None:
        pass

    def __call__(self, x: Any, **more: Any) -> Any:
        self.told.append(more)
        return np.full(2, 7.0), self.state

    def forward(self, x: Any, **more: Any) -> Any:
        return *self(x, **more), self

    def backward(self, tape: object, dy: Any) -> Any:
        assert tape is self
        return lstmfast.Gradients(np.full(2, 6.0), self.state, {"weight": np.full(2, 5.0)})


@pytest.mark.parametrize("work", ["sequence", "train"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("more", [{"valid": 65}, {"reset": 10}, {"recompute": True}, {}], ids=str)
def test_a_case_comes_to_our_own_calls(
    more: dict[str, Any], cell: Cell, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(4, 3, 2, 2, work=work, cell=cell, **more)
    task = problem.make(case)
    model = Recorder(case)
    monkeypatch.setattr(problem, "model", lambda *_: model)
    run = engines.load(ENGINES[OURS], 1, None).prepare(task)
    assert run.tape_bytes == (4 if work == "train" else None)
    model.told.clear()
    found = {name: float(array[0]) for name, array in run.results(run.call()).items()}
    cuts = {"lengths": task.lengths, "reset": task.reset}
    wanted: dict[str, Any] = {name: array for name, array in cuts.items() if array is not None}
    if case.recompute and work == "train":
        wanted["recompute"] = True
    (told,) = model.told
    assert set(told) == set(wanted)
    assert all(np.array_equal(told[name], wanted[name]) for name in wanted)
    if work == "train" or not case.recompute:
        assert list(wanted) == ["lengths" if name == "valid" else name for name in more]
    if work == "train":
        assert found == {"y": 7, "dx": 6, "d weight": 5}
    else:
        assert found == {"y": 7, "h_n": 8} | ({"c_n": 9} if BY_NAME[cell.upper()].has_memory else {})


@pytest.mark.parametrize("work", ["step", "train"])
@pytest.mark.parametrize("name", ["lstmfast.torch", "lstmfast.torch frozen"])
def test_what_lstmfast_torch_does_not_have_is_said(
    name: str, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One part of it at a time: step modules and modules of a kind are looked for by name."""
    empty = ModuleType("lstmfast.torch")
    monkeypatch.setitem(sys.modules, "lstmfast.torch", empty)
    engine = engines.load(ENGINES[name], 1, None)
    told = "it has no GRUCell"
    if work == "train" and "frozen" in name:
        told = "frozen weights have no gradient"
    case = Case(1 if work == "step" else 4, 2, 3, 5, work=work, cell="gru", stepwise=True)
    with pytest.raises(UnsupportedError, match=f"^{told}$"):
        engine.prepare(problem.make(case))
    if told != "frozen weights have no gradient":
        with pytest.raises(UnsupportedError, match=r"^it has no GRU$"):
            engine.prepare(problem.make(replace(case, stepwise=False)))


def test_a_name_is_the_engines_own() -> None:
    for name, spec in ENGINES.items():
        assert engines.load(spec, 1, None).name == name


def test_what_holds_an_engine_is_said_only_where_something_does() -> None:
    assert engines.held(None, "ONEDNN_MAX_CPU_ISA") == "its own choice"
    assert engines.held("avx2", "ONEDNN_MAX_CPU_ISA") == "avx2 (ONEDNN_MAX_CPU_ISA)"
    assert engines.held("avx2") == "its own choice: it cannot be held to avx2"
    assert engines.held("scalar", "ONEDNN_MAX_CPU_ISA") == "its own choice: it cannot be held to scalar"


def test_a_broken_installation_is_missing(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_engine.py").write_text("raise OSError('libx.so: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    assert (
        engines.try_import("broken_engine")
        == "broken_engine cannot be imported: OSError: libx.so: cannot open"
    )
    assert engines.try_import("no_such_engine") == "no_such_engine is not installed"
    assert engines.try_import("json") is None


@pytest.mark.parametrize(
    "swapped", [(1, 0, 2, 3), (2, 1, 0, 3), (3, 1, 2, 0), (0, 2, 1, 3), (0, 3, 2, 1), (0, 1, 3, 2)]
)
@pytest.mark.parametrize("case", CASES[:5], ids=lambda case: case.label.replace(" ", "-"))
def test_swapped_gates_are_wrong(case: Case, swapped: tuple[int, ...]) -> None:
    task = problem.make(case)
    weights = {
        name: np.concatenate([np.split(array, 4)[k] for k in swapped]) for name, array in task.weights.items()
    }
    reference = Reference("lstm", weights, case.layers, case.directions == 2)
    h = c = None
    for _ in range(problem.STEPS if case.work == "step" else 1):
        y, (h, c), _ = reference.forward(task.x, h, c)
    assert h is not None
    assert c is not None
    found = problem.difference({"y": y, "h_n": h, "c_n": c}, task.truth)
    for precision, times in {"float32": 50, "float16": 50, "bfloat16": 5}.items():
        assert found > times * problem.TOLERANCES[precision]


@pytest.mark.parametrize("swapped", [(1, 0, 2), (2, 1, 0), (0, 2, 1), (0, 1, 2)])
@pytest.mark.parametrize("case", CASES[:5], ids=lambda case: case.label.replace(" ", "-"))
def test_swapped_gates_of_a_gru_are_wrong(case: Case, swapped: tuple[int, ...]) -> None:
    """And the right ones, if r multiplies h and not what W_hn has made of it."""
    task = problem.make(replace(case, cell="gru"))
    weights = {
        name: np.concatenate([np.split(array, 3)[k] for k in swapped]) for name, array in task.weights.items()
    }
    reset = "gru_reset_before" if swapped == (0, 1, 2) else "gru"
    reference = Reference(reset, weights, case.layers, case.directions == 2)
    h = None
    for _ in range(problem.STEPS if case.work == "step" else 1):
        y, (h, _), _ = reference.forward(task.x, h)
    assert h is not None
    found = problem.difference({"y": y, "h_n": h}, task.truth)
    assert found > 50 * problem.TOLERANCES["float32"]
