"""Models of other exporters, as they are and after other tools: run, explained and read."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import lstmfast.onnx
from lstmfast.onnx._without_nodes import ADVICE

from ..helpers import ROOT, Array
from .exported import FAMILIES, TORCH_FORMS, H, I, T, environment, names
from .tools import TOOLS

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = [pytest.mark.tools, pytest.mark.filterwarnings("ignore")]  # tools warn of much

INT8 = {"dynamic int8", "static int8", "static int8, layers"}
FLOAT16 = {"float16 (transformers)", "float16 (converters)"}
EXACT = {"as it is", "onnxsim", "onnxslim"}
COMPUTED = "its weights are not constant: the model computes them"


class Exported(NamedTuple):
    """A model, and what its framework computes."""

    model: Any
    inputs: dict[str, Array]
    results: list[Array]
    weights: dict[str, Array]


Read = Callable[[str, str], Exported]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """Have a family's models made, once, and read one."""
    folders: dict[str, Path] = {}

    def of(family: str, name: str) -> Exported:
        for package in FAMILIES[family][2]:
            if importlib.util.find_spec(package) is None:
                pytest.skip(f"needs {package}")
        if family not in folders:
            folders[family] = tmp_path_factory.mktemp(family)
            command = [sys.executable, "-m", "tests.onnx.exported", family, str(folders[family])]
            done = subprocess.run(command, cwd=ROOT, env=environment(family), capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        model = onnx.load(folders[family] / f"{name}.onnx")
        arrays = dict(np.load(folders[family] / f"{name}.npz"))
        given = [array for key, array in arrays.items() if key.startswith("input_")]
        return Exported(
            model,
            {each.name: array for each, array in zip(model.graph.input, given, strict=True)},
            [array for key, array in arrays.items() if key.startswith("result_")],
            {key.split(":")[1]: array for key, array in arrays.items() if key.startswith("weight:")},
        )

    return of


def nodes_of(family: str, name: str) -> list[str]:
    """The recurrent nodes that an exporter writes: none where it writes every step, or a loop."""
    kind, *form = name.split()
    if family == "torch-script" or (family == "torch-dynamo" and kind != "RNN"):
        return [kind] * TORCH_FORMS.get(form[0], {}).get("num_layers", 1)
    return ["LSTM"] if family == "keras-tensorflow" and "LSTM" in kind else []


def is_refused(family: str, name: str, tool: str) -> bool:
    """Whether what the tool makes of the model is invalid: casts in it say float32, and give float16."""
    return tool == "float16 (converters)" and not nodes_of(family, name) and family != "torch-dynamo"


def options_of(tool: str) -> Any:
    """How ONNX Runtime is to run what a tool has made."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if tool in FLOAT16:
        # At ENABLE_ALL, ONNX Runtime ends the process where a Transpose of float16 comes before a MatMul.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    return options


def run(session: Any, inputs: dict[str, Array]) -> list[Array]:
    results: list[Array] = session.run(None, inputs)
    return results


def assert_near(found: list[Array], expected: list[Array], tolerance: float) -> None:
    for a, b in zip(found, expected, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


CASES = [pytest.param(family, name, id=f"{family}: {name}") for family in FAMILIES for name in names(family)]


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(("family", "name"), CASES)
def test_every_exporter_and_tool(family: str, name: str, tool: str, read: Read, tmp_path: Path) -> None:
    exported = read(family, name)
    model = TOOLS[tool](exported.model, exported.inputs, tmp_path)
    operators = nodes_of(family, name)
    if operators:
        assert_read(model, exported, tool)
    else:
        assert_not_read(model)
    if is_refused(family, name, tool):
        for make in (own_session, lstmfast.onnx.session):
            with pytest.raises(Exception, match=r"tensor\(float16\)\) of output arg .* does not match"):
                make(model.SerializeToString(), options_of(tool))
        return
    assert_explained(model, operators, tool)
    assert_run(model, exported, tool)


def own_session(model: bytes, options: Any) -> Any:
    """ONNX Runtime without us."""
    return onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])


def assert_run(model: Any, exported: Exported, tool: str) -> None:
    """Expect what ONNX Runtime computes alone, and both near the framework."""
    data = model.SerializeToString()
    theirs = run(own_session(data, options_of(tool)), exported.inputs)
    ours = run(lstmfast.onnx.session(data, options_of(tool)), exported.inputs)
    assert_near(theirs, exported.results, 0.02 if tool in INT8 else 1e-3 if tool in FLOAT16 else 1e-6)
    # In its int8 a row's rounding depends on the rows beside it, and not in ours; and what static int8 rounds
    # may come out a step apart.
    assert_near(ours, theirs, 0.01 if tool in INT8 else 1e-3 if tool in FLOAT16 else 1e-6)


def assert_explained(model: Any, operators: list[str], tool: str) -> None:
    """Expect all nodes to be ours but those whose weights come out of DequantizeLinear."""
    found = lstmfast.onnx.explain(model, options_of(tool))
    quantized = [
        each.replace("LSTM", "DynamicQuantizeLSTM") if tool == "dynamic int8" else each for each in operators
    ]
    assert [node.operator for node in found.nodes] == quantized
    for node in found.nodes:
        left = tool == "static int8, layers"
        assert (node.path, node.reason) == (("onnxruntime", COMPUTED) if left else ("lstmfast", ""))
    assert (ADVICE in found.notes) == (not operators)


def assert_read(model: Any, exported: Exported, tool: str) -> None:
    """Expect a layer for each node, with the framework's weights, as exactly as the tool left them."""
    found = list(lstmfast.onnx.layers(model).values())
    count = 0
    for number, layer in enumerate(found):
        assert layer.hidden_size == H
        assert layer.input_size == (I if number == 0 else H * (1 + found[number - 1].bidirectional))
        plain = layer.dequantize() if isinstance(layer, lstmfast.QuantizedLSTM) else layer
        for key, array in plain.parameters.items():
            assert_weight(array, exported.weights[key.replace("_l0", f"_l{number}")], tool, key)
            count += 1
    assert count == len(exported.weights)


def assert_weight(found: Array, expected: Array, tool: str, name: str) -> None:
    if tool in FLOAT16:
        np.testing.assert_array_equal(found, expected.astype(np.float16), err_msg=name)
    elif tool in {"static int8, layers", "dynamic int8"}:
        largest = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=largest / 63, err_msg=name)
    else:
        np.testing.assert_array_equal(found, expected, err_msg=name)


def assert_not_read(model: Any) -> None:
    """Expect to be told that there is no node, and what to do."""
    message = f"^model: expected an LSTM, a GRU or an RNN node, got none; .*; {ADVICE}$"
    with pytest.raises(ValueError, match=message):
        lstmfast.onnx.layers(model)


# What exporters themselves get wrong, which no session can put right.


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_free_axes_by_dynamo(kind: str, read: Read) -> None:
    """The number of steps is fixed inside: twice as many come back as more rows, without an error."""
    model = read("torch-dynamo", f"{kind} free").model
    x = np.random.default_rng(0).standard_normal((2 * T, 3, I)).astype(np.float32)
    for make in (own_session, lstmfast.onnx.session):
        (result,) = run(make(model.SerializeToString(), options_of("as it is")), {"x": x})
        assert result.shape[:2] == (T, 6)


def test_a_free_time_axis_by_keras_on_torch(read: Read) -> None:
    """The model has one step, and gives that alone."""
    exported = read("keras-torch", "LSTM free")
    data = exported.model.SerializeToString()
    expected = [result[:, :1] for result in exported.results]
    for make in (own_session, lstmfast.onnx.session):
        assert_near(run(make(data, options_of("as it is")), exported.inputs), expected, 1e-6)
    with pytest.raises(ValueError, match=r"got none$"):
        lstmfast.onnx.layers(exported.model)
    assert lstmfast.onnx.explain(exported.model).notes == ()
