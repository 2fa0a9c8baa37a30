"""Weights: constants of every form, those that calls bring or replace, and what shares a packed copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast.onnx

from ..helpers import Array, assert_same_bits
from ..together import together
from .session_helpers import (
    WEIGHTS,
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
    value,
    whole,
)
from .session_truth import assert_close, truth

ONLY_OURS: tuple[dict[str, Any], ...] = ({"layout": 1}, {"dtype": "float64"})
only_ours = pytest.mark.parametrize("form", ONLY_OURS, ids=["layout", "float64"])


def weights_of(node: Node) -> dict[str, Array]:
    return {name: node.inputs[name] for name in WEIGHTS if name in node.inputs}


# Weights that calls bring, where ONNX Runtime has no kernel.


@only_ours
@pytest.mark.parametrize("operator", ["LSTM", "GRU", "RNN"])
def test_weights_of_each_call(operator: str, form: dict[str, Any]) -> None:
    node = node_of(operator, **form, peepholes=operator == "LSTM", direction="bidirectional")
    session = session_of(model_of(node, fed=[*weights_of(node)]))
    for seed in (0, 1, 1, 0, 2):
        other = node_of(operator, **form, peepholes=operator == "LSTM", direction="bidirectional", seed=seed)
        found = run(session, other.inputs)
        assert_close(found, truth(other), 1e-6)
        assert_same_bits(found, by_us(other))


@only_ours
def test_weights_that_change_where_they_are(form: dict[str, Any]) -> None:
    """The same array with other numbers in it: the last packed copy is none for them."""
    node = node_of("LSTM", **form)
    session = session_of(model_of(node, fed=["W", "R"]))
    run(session, {name: array for name, array in node.inputs.items() if name != "B"})
    for k in (0, -1):
        node.inputs["R"].flat[k] += 0.25
        found = run(session, {name: array for name, array in node.inputs.items() if name != "B"})
        assert_close(found, truth(node), 1e-6)


@only_ours
def test_many_threads_with_weights_of_their_own(form: dict[str, Any]) -> None:
    nodes = [node_of("LSTM", 3, 2, 5, 20, **form, seed=seed) for seed in range(4)]
    session = session_of(model_of(nodes[0], fed=["W", "R", "B"]))

    def job(node: Node) -> Callable[[], None]:
        expected = by_us(node)

        def calls() -> None:
            for _ in range(60):
                assert_same_bits(run(session, node.inputs), expected)

        return calls

    together([job(node) for node in nodes])


@only_ours
def test_weights_that_do_not_fit(form: dict[str, Any]) -> None:
    """An error of that call, and the next one works."""
    node = node_of("LSTM", **form)
    model = model_of(node, fed=["W", "R", "B"], static=False)
    for each in model.graph.input:
        if each.name in WEIGHTS:
            each.CopyFrom(value(each.name, node.inputs[each.name], static=False))
    session = session_of(model)
    mistakes = {
        "W: expected .1, 24, 4., got .1, 23, 4.": {"W": node.inputs["W"][:, :-1]},
        "R: expected .1, 24, 6., got .1, 24, 5.": {"R": node.inputs["R"][:, :, :-1]},
        "B: expected .D, 2.G.H., got .1, 47.": {"B": node.inputs["B"][:, :-1]},
    }
    for message, wrong in mistakes.items():
        with pytest.raises(Exception, match=message):
            run(session, {**node.inputs, **wrong})
        assert_close(run(session, node.inputs), truth(node), 1e-6)


# Constants that a call may replace.


def test_replaceable_constants_are_left() -> None:
    node = node_of("LSTM")
    model = model_of(node, overridable=True)
    session = session_of(model, ours_alone=False)
    other = node_of("LSTM", seed=3)
    assert_same_bits(run(session, node.feeds), by_runtime(model, node.feeds))
    fed = {**other.inputs, **node.feeds}
    assert_same_bits(run(session, fed), by_runtime(model, fed))
    assert run(session, fed)["Y"].tobytes() != run(session, node.feeds)["Y"].tobytes()


@only_ours
def test_replaceable_constants_that_are_taken(form: dict[str, Any]) -> None:
    node, other = (node_of("LSTM", **form, seed=seed) for seed in (0, 3))
    session = session_of(model_of(node, overridable=True))
    for _ in range(2):
        assert_close(run(session, node.feeds), truth(node), 1e-6)
        fed = {**other.inputs, **node.feeds}
        assert_close(run(session, fed), truth(other.but(X=node.inputs["X"])), 1e-6)


def test_constants_of_old_models_are_inputs_as_well() -> None:
    """Up to version 3 of the format all had to be, and none could be replaced."""
    node = node_of("LSTM", opset=8)
    model = model_of(node, overridable=True)
    model.ir_version = 3
    assert_same_bits(run(session_of(model), node.feeds), by_us(node))


# Constants of every form.


def test_constant_nodes() -> None:
    node = node_of("GRU")
    nodes = [
        helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(array))
        for name, array in weights_of(node).items()
    ]
    model = whole(
        [*nodes, made(node)], [value("X", node.inputs["X"])], [output(name) for name in node.outputs]
    )
    for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL"):
        options = options_of()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        assert_same_bits(run(session_of(model, sess_options=options), node.feeds), by_us(node))


def test_folded_constants() -> None:
    """What exporters put before weights is computed before the provider is asked."""
    node = node_of("LSTM")
    W = node.inputs["W"]
    before = [
        helper.make_node("Transpose", ["W_t"], ["W_1"], perm=[1, 0]),
        helper.make_node("Unsqueeze", ["W_1", "axis"], ["W"]),
    ]
    constants = weights_of(node) | {"W_t": np.ascontiguousarray(W[0].T), "axis": np.array([0], np.int64)}
    del constants["W"]
    outputs = [output(name) for name in node.outputs]
    model = whole([*before, made(node)], [value("X", node.inputs["X"])], outputs, constants)
    assert_same_bits(run(session_of(model), node.feeds), by_us(node))
    options = options_of(ours_alone=False)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert_close(run(session_of(model, sess_options=options), node.feeds), truth(node), 1e-6)


def test_external_data(tmp_path: Path) -> None:
    node = node_of("LSTM", 5, 3, 40, 60)
    path = tmp_path / "model.onnx"
    onnx.save(model_of(node), path, save_as_external_data=True, location="weights", size_threshold=0)
    expected = by_us(node)
    assert (tmp_path / "weights").stat().st_size > 50_000
    assert_same_bits(run(session_of(str(path)), node.feeds), expected)
    assert_same_bits(run(session_of(path), node.feeds), expected)


def test_constants_given_with_the_options() -> None:
    """What add_initializer puts in the place of a model's own."""
    node, other = node_of("LSTM"), node_of("LSTM", seed=3)
    options = options_of()
    kept = {
        name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in weights_of(other).items()
    }
    for name, array in kept.items():
        options.add_initializer(name, array)
    found = run(session_of(model_of(node), sess_options=options), node.feeds)
    assert_same_bits(found, by_us(other.but(X=node.inputs["X"])))


# Packed once for all that have the same, which the same sums must not be taken for.


def shuffled(node: Node) -> list[Node]:
    """Nodes whose weights have the same numbers in other places."""
    W, R, B = (node.inputs[name] for name in ("W", "R", "B"))
    rows = np.r_[8:16, 0:8, 16 : W.shape[1]]
    found = [
        node.but(W=R, R=W),
        node.but(W=np.ascontiguousarray(W[:, rows])),
        node.but(R=np.ascontiguousarray(R[:, :, ::-1])),
        node.but(B=np.ascontiguousarray(B[:, ::-1])),
        node.but(W=-W),
        node.but(W=W[::-1].copy(), R=R[::-1].copy(), B=B[::-1].copy()),
        node.but(B=np.roll(B, 1)),
        node.but(B=np.zeros_like(B)),
        node.but(B=-np.zeros_like(B)),
        node.but(B=None),
    ]
    for name in ("reverse", "input_forget"):
        changed = {"direction": "bidirectional"} if name == "reverse" else {name: 1}
        found.append(Node("LSTM", dict(node.inputs), {**node.attributes, **changed}))
    return found


def test_weights_with_the_same_numbers_elsewhere() -> None:
    node = node_of("LSTM", 3, 2, 8, 8, direction="bidirectional")
    sessions = []
    for one in [node, *shuffled(node)]:
        session = session_of(model_of(one))
        sessions.append(session)  # alive, and so is what it has packed
        assert_close(run(session, one.feeds), truth(one), 1e-6)


def test_nodes_that_share_weights_with_others_of_the_graph() -> None:
    """Two of ours, one of ONNX Runtime's, and an operator that reads W: whose copy is freed, and when."""
    node = node_of("LSTM", 4, 2, 6, 6)
    odd = Node("LSTM", node.inputs, {**node.attributes, "direction": "reverse"})
    nodes = [
        made(node, "a", {name: f"a_{name}" for name in node.outputs}),
        made(odd, "b", {name: f"b_{name}" for name in node.outputs}),
        helper.make_node("ReduceSum", ["W"], ["sum"], keepdims=0),
        helper.make_node("LSTM", ["X", "W", "R", "computed"], ["c_Y"], name="c", **node.attributes),
        helper.make_node("Mul", ["B", "factor"], ["computed"]),
    ]
    factor = np.array(1, np.float32)
    outputs = {"a_Y": 4, "a_Y_h": 3, "a_Y_c": 3, "b_Y": 4, "c_Y": 4, "sum": 0}
    model = whole(
        nodes,
        [value("X", node.inputs["X"]), value("factor", factor)],
        [output(name, rank=rank) for name, rank in outputs.items()],
        weights_of(node),
    )
    assert sorted(each.path for each in lstmfast.onnx.explain(model).nodes) == ["lstmfast"] * 2 + [
        "onnxruntime"
    ]
    session = session_of(model, ours_alone=False)
    for _ in range(2):
        found = run(session, {"X": node.inputs["X"], "factor": factor})
        assert_same_bits(found["a_Y"], by_us(node)["Y"])
        assert_same_bits(found["b_Y"], by_us(odd)["Y"])
        assert_close({"Y": found["c_Y"]}, {"Y": truth(node)["Y"]}, 1e-6)
        np.testing.assert_allclose(found["sum"], node.inputs["W"].sum(dtype="float64"), rtol=1e-4)
