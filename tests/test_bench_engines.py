"""Every engine that is installed computes what the reference does, in a measuring process of its own.

In a process of its own: engines start threads that do not go away, and tests that fork would meet them.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast._bench import engines, problem, session
from lstmfast._bench.cases import Case, Work
from lstmfast._bench.engines import ENGINES, OURS
from lstmfast._bench.worker import Request
from lstmfast.reference import Reference

NEEDS = {
    OURS: ["numpy"],
    "NumPy": ["numpy"],
    "PyTorch": ["torch"],
    "PyTorch int8": ["torch"],
    "ONNX Runtime": ["onnxruntime", "onnx"],
    "ONNX Runtime bound": ["onnxruntime", "onnx"],
    "ONNX Runtime int8": ["onnxruntime", "onnx"],
    "OpenVINO": ["openvino"],
    "JAX": ["jax"],
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
]
INFERENCE_ALONE = {name for name in ENGINES if "ONNX" in name or "int8" in name or name == "OpenVINO"}


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
@pytest.mark.parametrize("name", ENGINES)
def test_results_are_the_references(name: str, case: Case, rows: list[dict[str, Any]]) -> None:
    if not installed(name):
        pytest.skip(f"{name} is not installed")
    cell = rows[CASES.index(case)][name]
    if case.work == "train" and name in INFERENCE_ALONE:
        assert cell == {"status": "unsupported", "note": "inference only"}
        return
    assert cell["status"] == "ok", cell["note"]
    if "int8" in name:
        assert 1e-4 < cell["difference"] < 0.1  # not float32 in disguise
    else:
        assert cell["difference"] < 5e-6
    assert len(cell["seconds"]) >= 3
    assert min(cell["seconds"]) > 0


@pytest.mark.parametrize("name", ENGINES)
def test_what_it_was_told_is_known(name: str, told: list[dict[str, Any]]) -> None:
    (engine,) = (event for event in told if event["event"] == "engine" and event["name"] == name)
    assert engine["precision"] == ("int8" if "int8" in name else "float32")
    if not installed(name):
        assert "is not installed" in engine["missing"]
        return
    assert engine["missing"] is None
    assert engine["version"][0].isdigit()
    settings = engine["settings"]
    (threads,) = (value for key, value in settings.items() if "threads" in key.lower())
    assert "1" in threads
    assert "instruction set" in settings


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


# The truth, and the check against it ----------------------------------------------------------------


@pytest.mark.parametrize("work", ["sequence", "step", "train"])
def test_the_truth_holds_for_the_reference(work: Work) -> None:
    case = Case(1 if work == "step" else 4, 2, 3, 5, 2, 2, work)
    task = problem.make(case)
    assert all(array.dtype == np.float32 for array in (task.x, task.dy, *task.weights.values()))
    reference = Reference("lstm", task.weights, 2, True)
    h = c = None
    for _ in range(problem.STEPS if work == "step" else 1):
        y, (h, c), cache = reference.forward(task.x, h, c)
    found = {"y": y, "h_n": h, "c_n": c}
    if work == "train":
        dx, _, _, dparameters = reference.backward(cache, task.dy)
        found = {"y": y, "dx": dx, **{f"d {name}": array for name, array in dparameters.items()}}
    assert problem.difference(found, task.truth) == 0  # type: ignore[arg-type]


def test_weights_are_those_of_the_seed() -> None:
    lstm = lstmfast.LSTM(3, 5, seed=7)
    task = problem.make(Case(2, 1, 3, 5), seed=7)
    assert all(np.array_equal(task.weights[name], lstm.parameters[name]) for name in lstm.parameters)


def test_differences_are_in_units_of_the_largest_value() -> None:
    truth = {"y": np.array([4.0, -8.0]), "h": np.array([0.5])}
    assert problem.difference({"y": np.array([4.0, -8.0]), "h": np.array([0.5])}, truth) == 0
    assert problem.difference({"y": np.array([5.0, -8.0]), "h": np.array([0.5])}, truth) == pytest.approx(
        1 / 8
    )
    assert problem.difference({"y": np.array([4.0, -8.0]), "h": np.array([0.4])}, truth) == pytest.approx(0.2)
    assert np.isnan(problem.difference({"y": np.array([np.nan, -8.0]), "h": np.array([0.5])}, truth))


def test_results_of_other_names_or_shapes_are_no_results() -> None:
    truth = {"y": np.zeros((2, 3)), "h": np.zeros(3)}
    with pytest.raises(ValueError, match="expected results y, h, got y"):
        problem.difference({"y": np.zeros((2, 3))}, truth)
    with pytest.raises(ValueError, match=r"y: expected shape \(2, 3\), got \(2, 1\)"):
        problem.difference({"y": np.zeros((2, 1)), "h": np.zeros(3)}, truth)


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
    assert problem.difference({"y": y, "h_n": h, "c_n": c}, task.truth) > 50 * problem.TOLERANCES["float32"]
