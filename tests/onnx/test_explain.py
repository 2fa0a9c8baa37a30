"""What is left to ONNX Runtime: with the results it has without us, and a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast.onnx
from lstmfast._cli.command import main

from ..helpers import Array, assert_same_bits
from .session_helpers import (
    Node,
    by_runtime,
    helper,
    made,
    model_of,
    node_of,
    onnx,
    onnxruntime,
    options_of,
    output,
    run,
    runtimes_session,
    session_of,
    value,
    whole,
)


def computed(node: Node, name: str) -> tuple[Any, dict[str, Array]]:
    """A model that multiplies one of the weights by an input, and what it is fed."""
    model = model_of(node)
    (one,) = model.graph.node
    one.input[list(one.input).index(name)] = "computed"
    model.graph.node.insert(0, helper.make_node("Mul", [name, "factor"], ["computed"]))
    factor = np.array(0.5, node.dtype)
    model.graph.input.append(value("factor", factor))
    return model, {**node.feeds, "factor": factor}


def strange(**numbers: Any) -> Node:
    return node_of("RNN", activations=["Affine"], **numbers)


COMPUTED = "its weights are not constant: the model computes them"
REPLACED = (
    "its weights are inputs of the model as well, so that each call may bring others; without those inputs"
    " it would be taken"
)
NOT_FINITE = "activations: alpha or beta is not finite"


def left() -> dict[str, tuple[Any, dict[str, Array], str]]:
    """Models, what they are fed, and why their node is left."""
    node = node_of("LSTM", peepholes=True)
    half = node_of("GRU", dtype="float16")
    overridable = model_of(node, overridable=True)
    found = {f"computed {name}": (*computed(node, name), COMPUTED) for name in ("W", "R", "B", "P")}
    found["computed, of float16"] = (*computed(half, "W"), COMPUTED)
    found["replaceable"] = (overridable, node.feeds, REPLACED)
    fed = model_of(node, fed=["R"])
    unclipped = node_of("RNN", clip=0.0)
    found["a clip of 0"] = (
        model_of(unclipped),
        unclipped.feeds,
        "clip: expected a number above 0, got 0.000000",
    )
    found["an input"] = (fed, {**node.feeds, "R": node.inputs["R"]}, COMPUTED)
    for name in ("alpha", "beta"):
        for number in (np.nan, np.inf):
            one = strange(**{f"activation_{name}": [number]})
            found[f"{name} {number}"] = (model_of(one), one.feeds, NOT_FINITE)
    return found


@pytest.mark.parametrize("name", left())
def test_left(name: str) -> None:
    """The session has ONNX Runtime's bits."""
    model, feeds, reason = left()[name]
    assert_same_bits(run(session_of(model, ours_alone=False), feeds), by_runtime(model, feeds))
    (told,) = lstmfast.onnx.explain(model).nodes
    assert (told.path, told.reason) == ("onnxruntime", reason)
    with pytest.raises(Exception, match="fallback to CPU EP has been"):
        session_of(model)


# What ONNX Runtime refuses as well: its own error, or whose message tells more.


def refused() -> dict[str, tuple[Any, str]]:
    """Models, and why their node is none for us."""
    few = node_of("LSTM", activations=["Tanh", "Tanh"])
    return {
        "another function": (
            model_of(node_of("RNN", activations=["Swish"])),
            "activations: none of ONNX's is called 'swish'",
        ),
        "too few functions": (model_of(few), "activations: expected 3 for each direction, got 2"),
        "another direction": (
            model_of(node_of("RNN", direction="backward")),
            "direction: expected forward, reverse or bidirectional, got 'backward'",
        ),
        "another layout": (
            model_of(node_of("GRU", layout=2)),
            "layout: expected 0 or 1, got 2",
        ),
        "a clip of 0": (
            model_of(node_of("LSTM", clip=0.0)),
            "clip: expected a number above 0, got 0.000000",
        ),
    }


@pytest.mark.parametrize("name", refused())
def test_refused(name: str) -> None:
    """A session, or an error, as without us."""
    model, reason = refused()[name]
    assert reasons(model) == [reason]
    x = {"X": np.zeros((5, 3, 4), np.float32)}

    def outcome(make: Any) -> str:
        try:
            run(make(model), x)
        except Exception as error:
            return type(error).__name__
        return "a result"

    alone = outcome(runtimes_session)
    assert alone != "a result"
    assert outcome(lambda model: session_of(model, ours_alone=False)) == alone


def reasons(model: Any) -> list[str]:
    """Why nodes are none for us, also where ONNX Runtime then makes no session of the model."""
    try:
        return [node.reason for node in lstmfast.onnx.explain(model).nodes]
    except Exception:  # ONNX Runtime's have no other class in common
        return reported(model)


def reported(model: Any) -> list[str]:
    """The same from the provider itself."""
    from lstmfast import _core

    lstmfast.onnx.register()
    _core.onnxruntime_open_report("of a test")
    options = options_of(ours_alone=False)
    with pytest.raises(Exception, match="ONNXRuntimeError"):
        lstmfast.onnx._session.make(model, {"report": "of a test"}, options)
    return [reason for *_, reason in _core.onnxruntime_close_report("of a test")]


SIZES: dict[str, dict[str, Any]] = {
    "W: expected [1, 20, 4], got [1, 24, 4]": {"hidden_size": 5},
    "B: expected [D, 2*G*H], got [1, 47]": {"B": (1, 47)},
    "R: expected [1, 24, 6], got [1, 24, 5]": {"R": (1, 24, 5)},
    "R: expected three axes, got [24, 6]": {"R": (24, 6)},
    "P: expected [D, 3*H], got [1, 12]": {"P": (1, 12)},
    "W: expected [1, 24, 4], got [2, 24, 4]": {"W": (2, 24, 4)},
    "H or I is 0": {"W": (1, 24, 0)},
}


@pytest.mark.parametrize("reason", SIZES)
def test_sizes(reason: str) -> None:
    """Not run: older versions of ONNX Runtime do not look, and read what lies behind."""
    changes = dict(SIZES[reason])
    node = node_of("LSTM", hidden_size=changes.pop("hidden_size", 6), peepholes=True)
    node = node.but(**{name: np.zeros(shape, np.float32) for name, shape in changes.items()})
    assert reasons(model_of(node)) == [reason]


@pytest.mark.parametrize("opset", [1, 6])
def test_old_operators(opset: int) -> None:
    """Of sets before 7, of which ONNX Runtime has no kernels either."""
    model = model_of(node_of("LSTM", opset=opset))
    assert reasons(model) == ["no kernel for its operator set, or for the types of its inputs"]


# What it says.


def several() -> Any:
    """Three nodes: ours, one that is not, one without a name whose first output nobody wants."""
    node = node_of("LSTM")
    gru = node_of("GRU", wanted=("Y_h",))
    names = {name: f"gru_{name}" for name in ("W", "R", "B")}
    nodes = [
        made(node, "first"),
        helper.make_node("Mul", ["R", "two"], ["R2"]),
        made(node, "second", {"R": "R2", **{name: f"second_{name}" for name in node.outputs}}),
        made(gru, "", {"Y_h": "end", **names}),
        helper.make_node("Relu", ["Y_c"], ["r"], name="third"),
    ]
    weights = {name: node.inputs[name] for name in ("W", "R", "B")}
    weights |= {names[name]: gru.inputs[name] for name in names}
    two = np.array(2, np.float32)
    return whole(
        nodes,
        [value("X", node.inputs["X"]), value("two", two)],
        [output("Y"), output("second_Y", rank=4), output("end"), output("r")],
        weights,
    )


def test_every_node_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = several()
    found = lstmfast.onnx.explain(model)
    by_name = {node.name: node for node in found.nodes}
    assert set(by_name) == {"first", "second", ""}
    assert by_name["first"] == lstmfast.onnx.NodeExplanation("main", "first", "LSTM", "Y", "lstmfast", "")
    assert by_name["second"].reason == COMPUTED
    assert by_name[""] == lstmfast.onnx.NodeExplanation("main", "", "GRU", "end", "lstmfast", "")
    lines = {"LSTM 'first': lstmfast", f"LSTM 'second': onnxruntime: {COMPUTED}", "GRU 'end': lstmfast"}
    assert set(str(found).splitlines()) == lines
    assert found.notes == ()
    # From a path, from bytes, and on the command line.
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    for form in (path, str(path), path.read_bytes(), bytearray(path.read_bytes())):
        assert lstmfast.onnx.explain(form) == found
    assert main(["explain", str(path)]) == 0
    assert set(capsys.readouterr().out.splitlines()) == lines


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "model: expected an ONNX model, got 'm.onnx', which is empty"),
        (b"no model", "model: expected an ONNX model that onnxruntime takes: "),
        (
            model_of(node_of("RNN", activations=["Swish"])).SerializeToString(),
            "onnxruntime refuses 'm.onnx': ",
        ),
        (None, "model: expected a file, got 'm.onnx'"),
    ],
    ids=["empty", "none", "refused", "missing"],
)
def test_command_line_errors(
    content: bytes | None,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("m.onnx").write_bytes(content)
    assert main(["explain", "m.onnx"]) == 1
    assert f"lstmfast: error: {message}" in capsys.readouterr().err  # beside ONNX Runtime's own lines


def test_a_model_without_such_nodes() -> None:
    x = np.zeros((2, 3), np.float32)
    model = whole([helper.make_node("Relu", ["X"], ["Z"])], [value("X", x)], [output("Z", rank=2)])
    assert lstmfast.onnx.explain(model).nodes == ()
    assert str(lstmfast.onnx.explain(model)) == "no LSTM, GRU or RNN node"
    assert_same_bits(run(session_of(model, ours_alone=False), {"X": x}), {"Z": x})


def test_it_is_what_remains_that_is_told() -> None:
    """ONNX Runtime's optimisations come first, and options of the session say which."""
    node = node_of("LSTM")
    model = model_of(node)
    model.graph.node[0].input[1] = "same"
    model.graph.node.insert(0, helper.make_node("Identity", ["W"], ["same"]))
    assert [each.path for each in lstmfast.onnx.explain(model).nodes] == ["lstmfast"]
    options = options_of(ours_alone=False)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert [each.reason for each in lstmfast.onnx.explain(model, options).nodes] == [COMPUTED]
    # These options are not spent: a session with them reports nothing.
    assert_same_bits(run(lstmfast.onnx.session(model, options), node.feeds), by_runtime(model, node.feeds))


def test_functions_of_the_model() -> None:
    """Nodes in them are told once, although the graphs are gone through twice."""
    node = node_of("LSTM", wanted=("Y",))
    inner = made(node, "inner")
    function = helper.make_function(
        "own", "F", ["X", "W", "R", "B"], ["Y"], [inner], [helper.make_opsetid("", 14)]
    )
    weights = {name: node.inputs[name] for name in ("W", "R", "B")}
    calls = [helper.make_node("F", ["X", "W", "R", "B"], [f"Y{k}"], domain="own") for k in range(2)]
    model = whole(
        [*calls, made(node, "plain", {"Y": "Y2"})],
        [value("X", node.inputs["X"])],
        [output(f"Y{k}", rank=4) for k in range(3)],
        weights,
        domains=["own"],
    )
    model.functions.append(function)
    told = lstmfast.onnx.explain(model)
    assert [each.path for each in told.nodes] == ["lstmfast"] * 3
    assert sorted(each.output for each in told.nodes) == ["Y0", "Y1", "Y2"]
    found = run(session_of(model), node.feeds)
    assert_same_bits([found["Y0"], found["Y1"]], [found["Y2"]] * 2)
