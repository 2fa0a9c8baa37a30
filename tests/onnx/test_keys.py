"""By which names layers go, and how some of them are chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmfast.onnx

from .helpers import helper, made, model_of, node_of, numpy_helper, output, value, whole

NODE = node_of("RNN", states=False)


def named(name: str, *outputs: str) -> Any:
    node = made(NODE, name)
    del node.output[:]
    node.output.extend(outputs)
    return node


def graph_of(nodes: list[Any], *, name: str = "graph", inner: bool = False) -> Any:
    inputs = [] if inner else [value("X", NODE.inputs["X"])]
    weights = {} if inner else {key: array for key, array in NODE.inputs.items() if key != "X"}
    tensors = [numpy_helper.from_array(array, key) for key, array in weights.items()]
    last = next(each for each in nodes[-1].output if each)
    return helper.make_graph(nodes, name, inputs, [output(last)], tensors)


# onnx has attributes in the order of the alphabet: the other branch comes first.
def branched(name: str, result: str, then: list[Any], other: list[Any]) -> Any:
    branches = {
        "then_branch": graph_of(then, name="then", inner=True),
        "else_branch": graph_of(other, name="else", inner=True),
    }
    return helper.make_node("If", ["flag"], [result], name=name, **branches)


def keys(*nodes: Any) -> list[str]:
    graph = graph_of(list(nodes))
    graph.initializer.append(numpy_helper.from_array(np.array(True), "flag"))
    return list(lstmfast.onnx.layers(whole(graph)))


def test_names_of_nodes_in_the_order_of_the_file() -> None:
    assert keys(named("b", "y1"), named("a", "y2"), named("/x/LSTM.3", "y3")) == ["b", "a", "/x/LSTM.3"]


def test_a_node_without_a_name_goes_by_its_first_output() -> None:
    assert keys(named("", "y1", "h1"), named("", "", "h2"), named("c", "y3")) == ["y1", "h2", "c"]


def test_nodes_of_one_name_go_by_their_first_outputs() -> None:
    assert keys(named("same", "y1"), named("other", "y2"), named("same", "y3")) == ["y1", "other", "y3"]


def test_branches_come_first_where_outputs_are_the_same_too() -> None:
    first = branched("if_1", "r1", [named("", "y")], [named("", "y")])
    second = branched("", "r2", [named("", "y")], [named("lstm", "y")])
    assert keys(named("", "y"), first, second) == [
        "y",
        "if_1/else_branch/y",
        "if_1/then_branch/y",
        "lstm",
        "r2/then_branch/y",
    ]


def test_bodies_in_bodies() -> None:
    inner = branched("inner", "r", [named("lstm", "y")], [named("lstm", "y")])
    outer = branched("outer", "r1", [inner], [named("lstm", "y")])
    assert keys(outer) == [
        "outer/else_branch/y",
        "outer/then_branch/inner/else_branch/y",
        "outer/then_branch/inner/then_branch/y",
    ]


def test_numbers_come_last_where_that_is_not_enough() -> None:
    first = branched("same", "r1", [named("", "y")], [named("b", "z")])
    second = branched("same", "r2", [named("", "y")], [named("c", "z")])
    assert keys(first, second) == ["b", "same/then_branch/y#0", "c", "same/then_branch/y#1"]


def test_a_name_that_is_anothers_output() -> None:
    """Who has it as a name keeps it."""
    assert keys(named("", "y"), named("y", "z"), named("y#0", "w")) == ["y#1", "y", "y#0"]


# names=.


def test_names_choose() -> None:
    model = whole(graph_of([named("a", "y1"), named("b", "y2"), named("c", "y3")]))
    for names in (["c", "a"], {"a", "c"}, ("a", "c", "a")):
        assert list(lstmfast.onnx.layers(model, names=names)) == ["a", "c"]
    assert lstmfast.onnx.layers(model, []) == {}


def test_nodes_that_are_not_chosen_may_be_anything() -> None:
    model = whole(graph_of([named("a", "y1"), named("b", "y2")]))
    model.graph.node[1].input[1] = "X"
    assert list(lstmfast.onnx.layers(model, ["a"])) == ["a"]
    with pytest.raises(ValueError, match=r"^node 'b' \(RNN\): .*; names= chooses other nodes$"):
        lstmfast.onnx.layers(model)
    with pytest.raises(ValueError, match=r"is an input of the model$"):  # there is no other
        lstmfast.onnx.layers(model_of(NODE, W="X"))


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ("node", TypeError, r"names: expected None or several names of nodes, got 'node' \(str\)"),
        (b"node", TypeError, "names: expected None or several names of nodes, got b'node'"),
        (3, TypeError, "names: expected None or several names of nodes, got 3"),
        (["node", "nodes"], ValueError, r"names: expected some of \['node'\], got 'nodes'"),
        ([3], ValueError, r"names: expected some of \['node'\], got 3"),
    ],
)
def test_wrong_names(names: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        lstmfast.onnx.layers(model_of(NODE), names)
