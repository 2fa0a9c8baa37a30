"""Chains of nodes in `lstmfast bench`: what they compute, and what their model has."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lstmfast._bench import problem
from lstmfast._bench.cases import CELLS, Case
from lstmfast.reference import Reference


@pytest.mark.parametrize("cell", CELLS)
def test_the_truth_of_a_chain_is_its_outputs_handed_on(cell: str) -> None:
    case = Case(6, 2, 5, 5, work="chain", cell=cell)
    task = problem.make(case)
    assert task.x.shape == (1, 2, 5)
    reference = Reference(case.kind.cells[0].name, task.weights)
    x: problem.Array = task.x
    h = c = None
    for _ in range(6):
        x, (h, c), _ = reference.forward(x, h, c)
    assert np.array_equal(task.truth["y"], x)
    assert np.array_equal(task.truth["h_n"], x)
    assert set(task.truth) == {"y", "h_n"} | ({"c_n"} if cell == "lstm" else set())
    # A node that is left out shows.
    shorter = problem.make(Case(5, 2, 5, 5, work="chain", cell=cell))
    assert problem.difference(shorter.truth, task.truth) > 10 * problem.TOLERANCES["float32"]


@pytest.mark.parametrize("cell", CELLS)
def test_a_chain_is_nodes_and_nothing_between_them(cell: str) -> None:
    onnx = pytest.importorskip("onnx")
    from lstmfast._bench.engines import onnx_chain

    task = problem.make(Case(4, 2, 5, 5, work="chain", cell=cell))
    model = onnx_chain.build(task)
    onnx.checker.check_model(model, full_check=True)
    nodes = model.graph.node
    assert [node.op_type for node in nodes] == [cell.upper()] * 4
    assert {tuple(node.input[1:4]) for node in nodes} == {("W", "R", "b")}
    assert [array.name for array in model.graph.initializer] == ["W", "R", "b"]
    for before, after in itertools.pairwise(nodes):
        assert after.input[0] == after.input[5] == before.output[1]
        assert list(after.input[6:]) == list(before.output[2:])
    assert [value.name for value in model.graph.input] == ["x"]
    assert list(nodes[-1].output) == [value.name for value in model.graph.output]
