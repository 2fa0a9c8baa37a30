"""Nodes in the bodies of If, Loop and Scan, whose weights the graph around has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import lstmfast.onnx

from ..helpers import Array, random
from .session_helpers import (
    WEIGHTS,
    Node,
    by_runtime,
    helper,
    made,
    node_of,
    options_of,
    output,
    run,
    session_of,
    tensor,
    value,
    whole,
)
from .session_truth import assert_close, truth

T, B, I, H = 4, 2, 6, 6  # I = H: the output of one step can be the next one's input
OPERATORS = ("LSTM", "GRU", "RNN")
PLACES = ("outside", "inside")
CONDITION = "condition"


def sub(nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], inner: Any = ()) -> Any:
    """A body. inner: constants of its own."""
    return helper.make_graph(nodes, "body", inputs, outputs, [tensor(*each) for each in dict(inner).items()])


def weights_of(node: Node, suffix: str) -> dict[str, Array]:
    return {f"{name}{suffix}": node.inputs[name] for name in WEIGHTS if name in node.inputs}


def branch(node: Node, suffix: str, constants: dict[str, Array], place: str) -> Any:
    """A branch of an If, where node and outputs have the same names in all; the weights do not."""
    weights = weights_of(node, suffix)
    if place == "outside":
        constants |= weights
    one = made(node, rename={name: f"{name}{suffix}" for name in WEIGHTS})
    outputs = [output(name, node.dtype) for name in node.outputs]
    return sub([one], [], outputs, weights if place == "inside" else {})


def chosen(then: Any, otherwise: Any, outputs: Sequence[str], condition: str = CONDITION) -> Any:
    return helper.make_node(
        "If", [condition], list(outputs), name="if", then_branch=then, else_branch=otherwise
    )


def flag(name: str = CONDITION) -> Any:
    return helper.make_tensor_value_info(name, 9, [])


def everywhere(model: Any, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Run it, with all ways in which weights come to a kernel; each gives the same bits."""
    options = [
        options_of(ours_alone=False),
        options_of(ours_alone=False, session__disable_prepacking="1"),
        options_of(ours_alone=False, session__intra_op__allow_spinning="0"),
    ]
    options[2].graph_optimization_level = options[2].graph_optimization_level.ORT_DISABLE_ALL
    found = [run(session_of(model, sess_options=each), feeds) for each in options]
    for other in found[1:]:
        for name, array in other.items():
            assert array.tobytes() == found[0][name].tobytes()
    return found[0]


def assert_ours(model: Any, count: int) -> None:
    told = lstmfast.onnx.explain(model)
    assert [str(node) for node in told.nodes if node.path != "lstmfast"] == []
    assert len(told.nodes) == count


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("operator", OPERATORS)
def test_branches(operator: str, place: str) -> None:
    """Each has weights of its own, although nodes and outputs are called the same."""
    nodes = [node_of(operator, T, B, I, H, seed=seed, peepholes=operator == "LSTM") for seed in (0, 100)]
    constants: dict[str, Array] = {}
    parts = [branch(node, suffix, constants, place) for node, suffix in zip(nodes, ("_a", "_b"), strict=True)]
    names = nodes[0].outputs
    model = whole(
        [chosen(parts[0], parts[1], names)],
        [value("X", nodes[0].inputs["X"]), flag()],
        [output(name) for name in names],
        constants,
    )
    for node, condition in zip(nodes, (True, False), strict=True):
        feeds = {"X": nodes[0].inputs["X"], CONDITION: np.array(condition)}
        right = truth(node.but(X=feeds["X"]))
        assert_close(everywhere(model, feeds), right, 1e-6)


@pytest.mark.parametrize("more", ["initial_h", "initial_c", "sequence_lens"])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("operator", OPERATORS)
def test_branches_of_which_one_takes_more(operator: str, first: bool, more: str) -> None:
    """Two nodes that only the graph tells apart: a stream's first call has no state yet, say."""
    lengths = [2, 4] if more == "sequence_lens" else None
    fuller = node_of(operator, T, B, I, H, states=more != "sequence_lens", lengths=lengths)
    if more not in fuller.inputs:
        pytest.skip("it has no c")
    given = {name: array for name, array in fuller.inputs.items() if name in (more, "X", *WEIGHTS)}
    fuller = Node(operator, given, fuller.attributes)
    plain = {name: array for name, array in given.items() if name != more}
    nodes = [Node(operator, plain, fuller.attributes), fuller]
    constants: dict[str, Array] = {}
    parts = [branch(node, "_a", constants, "outside") for node in nodes]
    names = fuller.outputs
    parts = parts if first else parts[::-1]
    model = whole(
        [chosen(parts[0], parts[1], names)],
        [value("X", given["X"]), value(more, given[more]), flag()],
        [output(name) for name in names],
        constants,
    )
    for node, condition in zip(nodes, (first, not first), strict=True):
        feeds = {"X": given["X"], more: given[more], CONDITION: np.array(condition)}
        assert_close(everywhere(model, feeds), truth(node), 1e-6)


def test_branches_that_compute_something_else() -> None:
    """Two nodes that only the graph tells apart, with other attributes: right, whoever computes them."""
    nodes = [node_of("LSTM", T, B, I, H), node_of("LSTM", T, B, I, H, seed=100, clip=0.2, input_forget=1)]
    constants: dict[str, Array] = {}
    parts = [
        branch(node, suffix, constants, "outside") for node, suffix in zip(nodes, ("_a", "_b"), strict=True)
    ]
    names = nodes[0].outputs
    x = nodes[0].inputs["X"]
    model = whole(
        [chosen(parts[0], parts[1], names)],
        [value("X", x), flag()],
        [output(name) for name in names],
        constants,
    )
    for node, condition in zip(nodes, (True, False), strict=True):
        assert_close(everywhere(model, {"X": x, CONDITION: np.array(condition)}), truth(node.but(X=x)), 1e-6)
    told = lstmfast.onnx.explain(model)
    assert sorted(node.path for node in told.nodes) == ["lstmfast", "onnxruntime"]
    assert [node.reason for node in told.nodes if node.reason] == [
        "another node that computes something else has the same name and outputs"
    ]


@pytest.mark.parametrize("place", PLACES)
def test_branches_in_branches(place: str) -> None:
    """Weights of the innermost are two graphs away."""
    nodes = [node_of("LSTM", T, B, I, H, seed=seed) for seed in (0, 100, 200, 300)]
    constants: dict[str, Array] = {}
    parts = [branch(node, f"_{k}", constants, place) for k, node in enumerate(nodes)]
    names = nodes[0].outputs
    outputs = [output(name) for name in names]
    halves = [sub([chosen(parts[k], parts[k + 1], names, "inner")], [], outputs) for k in (0, 2)]
    x = nodes[0].inputs["X"]
    model = whole(
        [chosen(halves[0], halves[1], names)],
        [value("X", x), flag(), flag("inner")],
        outputs,
        constants,
    )
    assert_ours(model, 4)
    for k, node in enumerate(nodes):
        feeds = {"X": x, CONDITION: np.array(k < 2), "inner": np.array(k % 2 == 0)}
        assert_close(everywhere(model, feeds), truth(node.but(X=x)), 1e-6)


def loop(node: Node, place: str, count: int) -> Any:
    """X goes through the node `count` times; the state is carried from one to the next."""
    weights = {name: node.inputs[name] for name in WEIGHTS if name in node.inputs}
    carried = ["h", "c"] if node.operator == "LSTM" else ["h"]
    rename = {"initial_h": "h", "initial_c": "c", "Y_h": "h_next", "Y_c": "c_next"}
    state = node.inputs["initial_h"]
    body = sub(
        [
            made(node, rename={**rename, "Y": "y"}),
            helper.make_node("Identity", ["go"], ["go_on"]),
        ],
        [helper.make_tensor_value_info("k", 7, []), flag("go"), *(value(name, state) for name in carried)],
        [flag("go_on"), *(value(f"{name}_next", state) for name in carried), output("y", rank=4)],
        weights if place == "inside" else {},
    )
    ends = [f"{name}_n" for name in carried]
    return whole(
        [helper.make_node("Loop", ["count", "true", *(f"{n}0" for n in carried)], [*ends, "ys"], body=body)],
        [value("X", node.inputs["X"]), *(value(f"{name}0", state) for name in carried)],
        [*(output(name) for name in ends), output("ys", rank=5)],
        {
            "count": np.array(count, np.int64),
            "true": np.array(True),
            **(weights if place == "outside" else {}),
        },
    )


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("operator", OPERATORS)
def test_loops(operator: str, place: str) -> None:
    node = node_of(operator, T, B, I, H, states=True)
    states = {name: node.inputs[name] for name in ("initial_h", "initial_c") if name in node.inputs}
    feeds = {"X": node.inputs["X"], **{f"{name[-1]}0": array for name, array in states.items()}}
    model = loop(node, place, 3)
    assert_ours(model, 1)
    found = everywhere(model, feeds)
    assert_close(by_runtime(model, feeds), found, 2e-6)
    for k in range(3):
        right = truth(node.but(**states))
        assert_close({"Y": found["ys"][k]}, {"Y": right["Y"]}, 2e-6)
        states = {name: right[f"Y_{name[-1]}"].astype("float32") for name in states}
    for name, state in states.items():
        assert_close({"end": found[f"{name[-1]}_n"]}, {"end": state}, 2e-6)


@pytest.mark.parametrize("place", PLACES)
def test_scans(place: str) -> None:
    """The body has a chunk at a time, and the state."""
    node = node_of("GRU", T, B, I, H, states=True, linear_before_reset=1)
    weights = {name: node.inputs[name] for name in ("W", "R", "B")}
    state, chunks = node.inputs["initial_h"], random((3, T, B, I), seed=9)
    body = sub(
        [made(node, rename={"initial_h": "h", "Y_h": "h_next", "Y": "y"})],
        [value("h", state), value("X", chunks[0])],
        [value("h_next", state), output("y", rank=4)],
        weights if place == "inside" else {},
    )
    model = whole(
        [helper.make_node("Scan", ["h0", "chunks"], ["h_n", "ys"], body=body, num_scan_inputs=1)],
        [value("h0", state), value("chunks", chunks)],
        [output("h_n"), output("ys", rank=5)],
        weights if place == "outside" else {},
    )
    assert_ours(model, 1)
    found = everywhere(model, {"h0": state, "chunks": chunks})
    together = node.but(X=chunks.reshape(3 * T, B, I))
    right = truth(together)
    assert_close({"Y": found["ys"].reshape(right["Y"].shape)}, {"Y": right["Y"]}, 2e-6)
    assert_close({"Y_h": found["h_n"]}, {"Y_h": right["Y_h"]}, 2e-6)


def test_a_branch_in_a_loop_and_the_same_weights_in_all_graphs() -> None:
    """One W for three nodes, each in a graph of its own; one of them ONNX Runtime's, whose copy must stay."""
    node = node_of("RNN", T, B, I, H)
    one = node.but(X=node.inputs["X"])
    odd = node_of("RNN", T, B, I, H, clip=0.5)
    odd = odd.but(**{name: node.inputs[name] for name in ("X", "W", "R", "B")})
    names = ["Y"]
    wanted = [node_of("RNN", wanted=names), node_of("RNN", wanted=names, clip=0.5)]
    parts = [sub([made(each)], [], [output("Y")]) for each in wanted]
    body = sub(
        [
            chosen(parts[0], parts[1], ["y"], "go_inner"),
            helper.make_node("Identity", ["go"], ["go_on"]),
        ],
        [helper.make_tensor_value_info("k", 7, []), flag("go")],
        [flag("go_on"), output("y", rank=4)],
    )
    weights = {name: node.inputs[name] for name in ("W", "R", "B")}
    model = whole(
        [
            made(wanted[0], name="outer", rename={"Y": "y_outer"}),
            helper.make_node("Loop", ["count", "true"], ["ys"], body=body),
            helper.make_node("ReduceSum", ["W"], ["w_sum"], keepdims=0),
        ],
        [value("X", node.inputs["X"]), flag("go_inner")],
        [output("y_outer", rank=4), output("ys", rank=5), output("w_sum", rank=0)],
        {"count": np.array(2, np.int64), "true": np.array(True), **weights},
    )
    for inner, right in ((True, one), (False, odd)):
        found = everywhere(model, {"X": node.inputs["X"], "go_inner": np.array(inner)})
        assert_close({"Y": found["y_outer"]}, {"Y": truth(one)["Y"]}, 1e-6)
        for each in found["ys"]:
            assert_close({"Y": each}, {"Y": truth(right)["Y"]}, 1e-6)
        np.testing.assert_allclose(found["w_sum"], weights["W"].sum(dtype="float64"), rtol=1e-4)
