"""What engines are held against: the truth of a case, with lengths and starts, and the check against it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast._base.kinds import BY_NAME
from lstmfast._bench import problem, suites
from lstmfast._bench.cases import CELLS, Case, Cell, Work
from lstmfast.reference import Reference

REFERENCES: dict[Cell, str] = {"lstm": "lstm", "rnn": "rnn_tanh", "gru": "gru"}


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
    found = {"y": y, "h_n": h} | ({"c_n": c} if BY_NAME[cell.upper()].has_memory else {})
    if work == "train":
        dx, _, _, dparameters = reference.backward(cache, task.dy)
        found = {"y": y, "dx": dx, **{f"d {name}": array for name, array in dparameters.items()}}
    assert problem.difference(found, task.truth) == 0  # type: ignore[arg-type]


def test_weights_are_those_of_the_seed() -> None:
    lstm = lstmfast.LSTM(3, 5, seed=7)
    task = problem.make(Case(2, 1, 3, 5), seed=7)
    assert all(np.array_equal(task.weights[name], lstm.parameters[name]) for name in lstm.parameters)


@pytest.mark.parametrize(("cell", "layer"), [("rnn", lstmfast.RNN), ("gru", lstmfast.GRU)])
def test_others_have_the_weights_of_the_seed(cell: Cell, layer: Any) -> None:
    model = layer(3, 5, 2, bidirectional=True, seed=7)
    task = problem.make(Case(2, 1, 3, 5, 2, 2, cell=cell), seed=7)
    assert list(task.weights) == list(model.parameters)
    assert all(np.array_equal(task.weights[name], model.parameters[name]) for name in model.parameters)


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
    assert ("c_n" in task.truth) == BY_NAME[cell.upper()].has_memory


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
    c: Any = np.zeros((2, 5, 4)) if BY_NAME[cell.upper()].has_memory else None
    for x, reset in zip(task.x, task.reset, strict=True):
        kept = ~reset[:, None]
        y, (h, c), _ = reference.forward(x[None], h * kept, None if c is None else c * kept)
        ys.append(y)
    found = {"y": np.concatenate(ys), "h_n": h} | ({"c_n": c} if BY_NAME[cell.upper()].has_memory else {})
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
