"""Every engine that is installed computes what the reference does, in a measuring process of its own.

In a process of its own: engines start threads that do not go away, and tests that fork would meet them.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast._bench import engines, problem, session, suites
from lstmfast._bench.cases import CELLS, Case, Cell, Work
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
    Case(6, 3, 3, 5, layers=2, directions=2, cell="rnn"),
    Case(1, 2, 4, 8, layers=2, work="step", cell="rnn"),
    Case(6, 2, 3, 5, layers=2, directions=2, work="train", cell="rnn"),
    Case(40, 4, 64, 8, valid=65),
    Case(9, 5, 3, 8, layers=2, directions=2, valid=40),
    Case(9, 5, 3, 8, layers=2, directions=2, work="train", valid=65),
    Case(9, 5, 3, 8, layers=3, cell="rnn", valid=65),
    Case(9, 5, 3, 8, directions=2, work="train", cell="rnn", valid=65),
]
REFERENCES: dict[Cell, str] = {"lstm": "lstm", "rnn": "rnn_tanh"}
INFERENCE_ALONE = {name for name in ENGINES if "ONNX" in name or "int8" in name or name == "OpenVINO"}


def unsupported(name: str, case: Case) -> str:
    """Why an engine does not do a case; nothing if it does."""
    if case.work == "train" and name in INFERENCE_ALONE:
        return "inference only"
    if case.cell == "rnn" and "int8" in name:
        return "quantize_dynamic has no RNN"
    return "only rows of one length" if case.valid < 100 and name == "NumPy" else ""


def takes_lengths() -> bool:
    """Whether the core that is built here does: until it does, its cells say so."""
    try:
        lstmfast.LSTM(1, 1)(np.zeros((1, 1, 1), np.float32), lengths=[1])
    except NotImplementedError:
        return False
    return True


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
    if reason := unsupported(name, case):
        assert cell == {"status": "unsupported", "note": reason}
        return
    if name == OURS and case.valid < 100 and not takes_lengths():
        assert (cell["status"], "not there yet" in cell["note"]) == ("failed", True)
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


class Recorder:
    """A model that takes lengths: it keeps what it is told, and returns what comes from nowhere else."""

    def __init__(self, case: Case) -> None:
        self.told: list[Any] = []
        self.state = (np.full(2, 8.0), np.full(2, 9.0)) if case.cell == "lstm" else np.full(2, 8.0)

    def load_state_dict(self, weights: object) -> None:
        pass

    def __call__(self, x: Any, **more: Any) -> Any:
        self.told.append(more)
        return np.full(2, 7.0), self.state

    def forward(self, x: Any, **more: Any) -> Any:
        return *self(x, **more), "tape"

    def backward(self, tape: object, dy: Any) -> Any:
        assert tape == "tape"
        return lstmfast.Gradients(np.full(2, 6.0), self.state, {"weight": np.full(2, 5.0)})


@pytest.mark.parametrize("work", ["sequence", "train"])
@pytest.mark.parametrize("cell", CELLS)
def test_lengths_come_to_our_own_calls(cell: Cell, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    for valid in (65, 100):
        case = Case(4, 3, 2, 2, work=work, cell=cell, valid=valid)
        task = problem.make(case)
        model = Recorder(case)
        with monkeypatch.context() as patch:
            patch.setattr(problem, "model", lambda *_, model=model: model)
            run = engines.load(ENGINES[OURS], 1, None).prepare(task)
        found = {name: float(array[0]) for name, array in run.results(run.call()).items()}
        lengths = [told.get("lengths") for told in model.told]
        assert [None if value is None else value.tolist() for value in lengths] == [
            None if task.lengths is None else task.lengths.tolist()
        ]
        assert (task.lengths is None) == (valid == 100)
        if work == "train":
            assert found == {"y": 7, "dx": 6, "d weight": 5}
        else:
            assert found == {"y": 7, "h_n": 8} | ({"c_n": 9} if cell == "lstm" else {})


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
@pytest.mark.parametrize("cell", CELLS)
def test_the_truth_holds_for_the_reference(cell: Cell, work: Work) -> None:
    case = Case(1 if work == "step" else 4, 2, 3, 5, 2, 2, work, cell)
    task = problem.make(case)
    assert all(array.dtype == np.float32 for array in (task.x, task.dy, *task.weights.values()))
    reference = Reference(REFERENCES[cell], task.weights, 2, True)
    h = c = None
    for _ in range(problem.STEPS if work == "step" else 1):
        y, (h, c), cache = reference.forward(task.x, h, c)
    found = {"y": y, "h_n": h} | ({"c_n": c} if cell == "lstm" else {})
    if work == "train":
        dx, _, _, dparameters = reference.backward(cache, task.dy)
        found = {"y": y, "dx": dx, **{f"d {name}": array for name, array in dparameters.items()}}
    assert problem.difference(found, task.truth) == 0  # type: ignore[arg-type]


def test_weights_are_those_of_the_seed() -> None:
    lstm = lstmfast.LSTM(3, 5, seed=7)
    task = problem.make(Case(2, 1, 3, 5), seed=7)
    assert all(np.array_equal(task.weights[name], lstm.parameters[name]) for name in lstm.parameters)


def test_an_rnn_has_the_weights_of_the_seed() -> None:
    rnn = lstmfast.RNN(3, 5, 2, bidirectional=True, seed=7)
    task = problem.make(Case(2, 1, 3, 5, 2, 2, cell="rnn"), seed=7)
    assert list(task.weights) == list(rnn.parameters)
    assert all(np.array_equal(task.weights[name], rnn.parameters[name]) for name in rnn.parameters)


# Rows of different lengths ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "case",
    [
        *(case for case in suites.SUITES["lengths"] if case.valid < 100 and case.work == "sequence"),
        Case(100, 2, 1, 1, valid=51),  # 102 steps: 100 and 2
        Case(7, 30, 1, 1, valid=17),  # 36 steps: 7 and 29 times 1
        Case(7, 30, 1, 1, valid=99),
    ],
    ids=lambda case: case.label.replace(" ", "-"),
)
def test_lengths_have_their_sum_and_no_order(case: Case, seed: int) -> None:
    lengths = problem._draw_lengths(case, np.random.default_rng(seed))
    assert lengths.shape == (case.B,)
    assert lengths.sum() == round(case.valid * case.T * case.B / 100)
    assert (lengths.min() >= 1, lengths.max()) == (True, case.T)
    again = problem._draw_lengths(case, np.random.default_rng(seed))
    assert lengths.tolist() == again.tolist()
    if case.suite == "lengths":
        steps = np.diff(lengths)
        assert (steps > 0).any()
        assert (steps < 0).any()
        assert lengths.min() < case.T / 3  # they differ by much


@pytest.mark.parametrize("cell", CELLS)
def test_the_truth_of_lengths_is_that_of_masked_rows(cell: Cell) -> None:
    """Forward in time nothing past a row's end reaches what is before it: one run of all rows shows it."""
    case = Case(9, 5, 3, 4, 2, cell=cell, valid=60)
    task, trained = problem.make(case), problem.make(replace(case, work="train"))
    assert task.lengths is not None
    assert trained.lengths is not None
    assert task.lengths.tolist() == trained.lengths.tolist()
    reference = Reference(REFERENCES[cell], task.weights, 2)
    y, _, cache = reference.forward(task.x)
    past = np.arange(case.T)[:, None] >= task.lengths
    assert np.abs(task.x[past]).min() > 0
    assert np.abs(task.dy[past]).min() > 0
    y[past] = 0
    dx, _, _, dparameters = reference.backward(cache, np.where(past[..., None], 0, task.dy))
    found = {"y": y, "dx": dx, **{f"d {name}": array for name, array in dparameters.items()}}
    assert problem.difference(found, trained.truth) < 1e-13
    assert not trained.truth["dx"][past].any()

    ends = y[task.lengths - 1, np.arange(case.B)]
    assert np.abs(task.truth["h_n"][1] - ends).max() < 1e-13
    assert ("c_n" in task.truth) == (cell == "lstm")


@pytest.mark.parametrize("work", ["sequence", "train"])
@pytest.mark.parametrize("directions", [1, 2])
def test_who_ignores_lengths_is_wrong(directions: int, work: Work) -> None:
    task = problem.make(Case(9, 5, 3, 4, 1, directions, work, valid=65))
    reference = Reference("lstm", task.weights, 1, directions == 2)
    y, (h, c), cache = reference.forward(task.x)
    assert c is not None
    found = {"y": y, "h_n": h, "c_n": c}
    if work == "train":
        dx, _, _, dparameters = reference.backward(cache, task.dy)
        found = {"y": y, "dx": dx, **{f"d {name}": array for name, array in dparameters.items()}}
    for name, array in found.items():
        worst = problem.difference({name: array}, {name: task.truth[name]})
        assert worst > 50 * problem.TOLERANCES["float32"], name


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
