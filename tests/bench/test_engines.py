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
from lstmfast._bench.engines import ENGINES, OURS, QUANTIZED
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
    Case(9, 2, 3, 8, layers=2, work="train", recompute=True),
]
REFERENCES: dict[Cell, str] = {"lstm": "lstm", "rnn": "rnn_tanh"}
RIVALS_INT8 = {"PyTorch int8", "ONNX Runtime int8"}
INFERENCE_ALONE = {"ONNX Runtime", "ONNX Runtime bound", "OpenVINO", *RIVALS_INT8, *QUANTIZED}
PRECISIONS = dict.fromkeys(RIVALS_INT8, "int8") | dict(
    zip(QUANTIZED, ("float16", "bfloat16", "int8"), strict=True)
)
# Between which the differences lie: at least that of no float32 in disguise.
DIFFERENCES = {"float16": (1e-5, 1.3e-3), "bfloat16": (1e-4, 1e-2), "int8": (1e-4, 0.1), "float32": (0, 5e-6)}


def unsupported(name: str, case: Case) -> str:
    """Why an engine does not do a case; nothing if it does."""
    if case.work == "pool" and name in {"NumPy", "OpenVINO", "JAX"}:
        return "pools are measured with other engines"
    if case.work == "train" and name in INFERENCE_ALONE:
        return "inference only"
    if name == "NumPy" and (case.valid < 100 or case.reset):
        return "it would run each row's pieces alone, which is no batch"
    if case.reset and name in INFERENCE_ALONE - {"PyTorch int8", *QUANTIZED}:
        return "its operators cannot start a row anew within a sequence"
    if case.cell == "rnn" and name in RIVALS_INT8:
        return "quantize_dynamic has no RNN"
    if case.work == "train" and "frozen" in name:
        return "frozen weights have no gradient"
    if case.reset and case.directions == 2 and "orch" in name:
        return "from run to run only the forward direction's state can be carried on"
    return ""


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
        self.state = (np.full(2, 8.0), np.full(2, 9.0)) if case.cell == "lstm" else np.full(2, 8.0)

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


def of_reference(task: problem.Problem, **cuts: Any) -> dict[str, Any]:
    """What `task.truth` holds, by the reference's own idea of lengths and reset, or by none."""
    case = task.case
    reference = Reference(REFERENCES[case.cell], task.weights, case.layers, case.directions == 2)
    y, (h, c), cache = reference.forward(task.x, **cuts)
    if case.work != "train":
        return {"y": y, "h_n": h} | ({} if c is None else {"c_n": c})
    dx, _, _, dparameters = reference.backward(cache, task.dy)
    return {"y": y, "dx": dx, **{f"d {name}": array for name, array in dparameters.items()}}


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


# Rows that start anew ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "case",
    [
        *(case for case in suites.SUITES["reset"] if case.reset and case.work == "sequence"),
        Case(2, 25, 1, 1, reset=1),  # 0.5 places, which is none to Python
        Case(2, 2, 1, 1, reset=100),
    ],
    ids=lambda case: case.label.replace(" ", "-"),
)
def test_rows_start_anew_at_so_many_places(case: Case, seed: int) -> None:
    reset = problem._draw_reset(case, np.random.default_rng(seed))
    assert reset.shape == (case.T, case.B)
    assert reset.dtype == np.bool_
    assert reset.sum() == round(case.reset * case.T * case.B / 100)
    again = problem._draw_reset(case, np.random.default_rng(seed))
    assert np.array_equal(reset, again)
    if case.suite == "reset":
        assert not np.array_equal(reset, problem._draw_reset(case, np.random.default_rng(seed + 3)))
        assert reset.any(axis=1).sum() > case.T / 8  # spread over the steps
        assert reset.any(axis=0).sum() > case.B / 4  # and over the rows


def test_numbers_are_the_same_without_starts() -> None:
    plain, restarted = problem.make(Case(9, 5, 3, 4)), problem.make(Case(9, 5, 3, 4, reset=20))
    assert plain.reset is None
    assert np.array_equal(plain.x, restarted.x)
    assert np.array_equal(plain.dy, restarted.dy)


@pytest.mark.parametrize("cell", CELLS)
def test_the_truth_of_starts_is_a_loop_over_masked_states(cell: Cell) -> None:
    """One step of all rows after the other, the state multiplied by what is kept of it."""
    task = problem.make(Case(9, 5, 3, 4, 2, cell=cell, reset=20))
    assert task.reset is not None
    reference = Reference(REFERENCES[cell], task.weights, 2)
    ys = []
    h: Any = np.zeros((2, 5, 4))
    c: Any = np.zeros((2, 5, 4)) if cell == "lstm" else None
    for x, reset in zip(task.x, task.reset, strict=True):
        kept = ~reset[:, None]
        y, (h, c), _ = reference.forward(x[None], h * kept, None if c is None else c * kept)
        ys.append(y)
    found = {"y": np.concatenate(ys), "h_n": h} | ({"c_n": c} if cell == "lstm" else {})
    assert problem.difference(found, task.truth) < 1e-13


@pytest.mark.parametrize("work", ["sequence", "train"])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_the_truth_of_starts_is_that_of_the_reference(cell: Cell, directions: int, work: Work) -> None:
    """Its own pieces, which other tests hold against definitions; with lengths, too."""
    for valid in (100, 65):
        task = problem.make(Case(9, 5, 3, 4, 2, directions, work, cell, valid, reset=20))
        found = of_reference(task, lengths=task.lengths, reset=task.reset)
        assert problem.difference(found, task.truth) < 1e-13


@pytest.mark.parametrize("work", ["sequence", "train"])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cut", [{"valid": 65}, {"reset": 20}], ids=str)
def test_who_ignores_lengths_or_starts_is_wrong(cut: dict[str, int], directions: int, work: Work) -> None:
    task = problem.make(replace(Case(9, 5, 3, 4, 1, directions, work), **cut))  # type: ignore[arg-type]
    found = of_reference(task)
    assert set(found) == set(task.truth)
    for name, array in found.items():
        worst = problem.difference({name: array}, {name: task.truth[name]})
        assert worst > 50 * problem.TOLERANCES["float32"], name


# The check --------------------------------------------------------------------------------------------


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
    found = problem.difference({"y": y, "h_n": h, "c_n": c}, task.truth)
    for precision, times in {"float32": 50, "float16": 50, "bfloat16": 5}.items():
        assert found > times * problem.TOLERANCES[precision]
