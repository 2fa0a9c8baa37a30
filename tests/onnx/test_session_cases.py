"""The standard's own test cases of LSTM, GRU and RNN, all that onnx has, in sessions of ours."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..helpers import Array
from .session_helpers import GATES, onnx, options_of, session_of, tensor

pytestmark = pytest.mark.filterwarnings("ignore")  # of the cases of other operators

# What the newest onnx has; older ones have fewer, and newer ones may have more, which are run as well.
KINDS = ("batchwise", "defaults", "reverse", "bidirectional")
NAMED = {
    *(f"test_{operator}_{kind}" for operator in ("lstm", "gru", "simple_rnn") for kind in KINDS),
    *("test_lstm_with_initial_bias", "test_lstm_with_peepholes"),
    *("test_gru_with_initial_bias", "test_gru_seq_length"),
    *("test_simple_rnn_with_initial_bias", "test_rnn_seq_length"),
}
LEFT_OUT: list[str] = []


@functools.cache
def cases() -> dict[str, Any]:
    """All cases whose model has a node of ours, by name; it takes seconds to make them."""
    loader = pytest.importorskip("onnx.backend.test.loader")
    found = {case.name: case for case in loader.load_model_tests(kind="node")}
    by_name = {name for name in found if re.search(r"(^|_)(lstm|gru|rnn)(_|$)", name)}
    by_node = {name for name, case in found.items() if recurrent(model_and_data(case)[0])}
    assert by_name == by_node
    return {name: found[name] for name in sorted(by_node)}


def recurrent(model: Any) -> bool:
    return any(node.op_type in GATES for node in model.graph.node)


def model_and_data(case: Any) -> tuple[Any, list[list[Array]], list[list[Array]]]:
    """The model, and inputs and outputs of each set of data; of older versions they are files."""
    if case.model is not None:
        return case.model, *([list(each[k]) for each in case.data_sets] for k in (0, 1))
    folder = Path(case.model_dir)

    def data(kind: str) -> list[list[Array]]:
        sets = sorted(folder.glob("test_data_set_*"))
        ordered = [
            sorted(each.glob(f"{kind}_*.pb"), key=lambda path: (len(path.name), path)) for each in sets
        ]
        return [[onnx.numpy_helper.to_array(onnx.load_tensor(path)) for path in paths] for paths in ordered]

    return onnx.load(folder / "model.onnx"), data("input"), data("output")


def with_constant_weights(model: Any, inputs: list[Array]) -> Any:
    """The model with its weights as constants, which the cases have as inputs."""
    node = model.graph.node[0]
    weights = [name for place, name in enumerate(node.input) if place in (1, 2, 3, 7) and name]
    made = onnx.ModelProto()
    made.CopyFrom(model)
    given = dict(zip([each.name for each in model.graph.input], inputs, strict=True))
    made.graph.initializer.extend(tensor(name, given[name]) for name in weights)
    kept = [each for each in made.graph.input if each.name not in weights]
    del made.graph.input[:]
    made.graph.input.extend(kept)
    return made


def test_none_is_left_out() -> None:
    assert set(cases()) >= NAMED
    assert LEFT_OUT == []


@pytest.mark.parametrize("name", sorted(NAMED))
def test_case(name: str) -> None:
    check(name)


def test_cases_that_are_newer_than_this_list() -> None:
    for name in sorted(set(cases()) - NAMED):
        check(name)


def check(name: str) -> None:
    """Run a case with constant weights; every node must be ours, and is told to be."""
    model, inputs, outputs = model_and_data(cases()[name])
    assert inputs
    for given, expected in zip(inputs, outputs, strict=True):
        constant = with_constant_weights(model, given)
        options = options_of(session__record_ep_graph_assignment_info="1")
        session = session_of(constant, sess_options=options)
        owners(session, len(constant.graph.node))
        feeds = dict(zip([each.name for each in model.graph.input], given, strict=True))
        found = session.run(None, {each.name: feeds[each.name] for each in session.get_inputs()})
        for array, right in zip(found, expected, strict=True):
            assert array.shape == right.shape
            np.testing.assert_allclose(array, right, rtol=1e-6, atol=1e-6)


def owners(session: Any, count: int) -> None:
    """See that our provider has all nodes, where onnxruntime can say so (it does from 1.25 on)."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return
    told = session.get_provider_graph_assignment_info()
    assert [each.ep_name for each in told] == ["LstmfastExecutionProvider"] * len(told)
    assert sum(len(each.get_nodes()) for each in told) == count


@pytest.mark.parametrize("name", sorted(name for name in NAMED if "batchwise" in name))
def test_case_as_it_is(name: str) -> None:
    """Weights are inputs: taken where ONNX Runtime has no kernel, which is where rows come first."""
    model, inputs, outputs = model_and_data(cases()[name])
    session = session_of(model)
    found = session.run(None, dict(zip([each.name for each in session.get_inputs()], inputs[0], strict=True)))
    for array, right in zip(found, outputs[0], strict=True):
        np.testing.assert_allclose(array, right, rtol=1e-6, atol=1e-6)
