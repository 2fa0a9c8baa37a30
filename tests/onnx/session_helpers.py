"""Nodes of ONNX's recurrent operators, models of them, and their sessions, ours and ONNX Runtime's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

import lstmfast.onnx

from ..helpers import Array, random

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime", "1.24")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

OURS, CPU = "LstmfastExecutionProvider", "CPUExecutionProvider"
VERSION = tuple(map(int, onnxruntime.__version__.split(".")[:2]))

INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
OUTPUTS = {"LSTM": ("Y", "Y_h", "Y_c"), "GRU": ("Y", "Y_h"), "RNN": ("Y", "Y_h")}
WEIGHTS = ("W", "R", "B", "P")
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@dataclass(frozen=True)
class Node:
    """A node and what it is given, by the operator's names; `wanted` are those of its outputs."""

    operator: str
    inputs: dict[str, Array]
    attributes: dict[str, Any] = field(default_factory=dict)
    wanted: tuple[str, ...] = ("Y", "Y_h", "Y_c")
    opset: int = 14

    @property
    def outputs(self) -> list[str]:
        """The names of those that it has and somebody wants."""
        return [name for name in OUTPUTS[self.operator] if name in self.wanted]

    @property
    def feeds(self) -> dict[str, Array]:
        """What a session is given."""
        return {name: array for name, array in self.inputs.items() if name not in WEIGHTS}

    @property
    def batchwise(self) -> bool:
        """Whether rows come first."""
        return bool(self.attributes.get("layout", 0))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of all its numbers."""
        return self.inputs["X"].dtype

    def but(self, **inputs: Array | None) -> Node:
        """The same with other inputs, or without."""
        kept = {**self.inputs, **inputs}
        return replace(self, inputs={name: array for name, array in kept.items() if array is not None})


def node_of(
    operator: str = "LSTM",
    T: int = 5,
    B: int = 3,
    I: int = 4,
    H: int = 6,
    *,
    dtype: Any = "float32",
    bias: bool = True,
    states: bool = False,
    lengths: Sequence[int] | None = None,
    peepholes: bool = False,
    wanted: Sequence[str] = ("Y", "Y_h", "Y_c"),
    opset: int = 14,
    seed: int = 0,
    scale: float = 1.0,
    **attributes: Any,
) -> Node:
    """A node with all its inputs. scale: of its weights."""
    D = 2 if attributes.get("direction") == "bidirectional" else 1
    G = GATES[operator]
    batchwise = attributes.get("layout", 0) == 1
    state = (B, D, H) if batchwise else (D, B, H)
    inputs = {
        "X": random((B, T, I) if batchwise else (T, B, I), dtype, seed + 1),
        "W": random((D, G * H, I), dtype, seed + 2, 0.5 * scale),
        "R": random((D, G * H, H), dtype, seed + 3, 0.4 * scale),
    }
    if bias:
        inputs["B"] = random((D, 2 * G * H), dtype, seed + 4, 0.3)
    if lengths is not None:
        inputs["sequence_lens"] = np.array(lengths, np.int32)
    if states:
        inputs["initial_h"] = random(state, dtype, seed + 5, 0.5)
    if states and operator == "LSTM":
        inputs["initial_c"] = random(state, dtype, seed + 6, 0.5)
    if peepholes:
        inputs["P"] = random((D, 3 * H), dtype, seed + 7, 0.5)
    return Node(operator, inputs, {"hidden_size": H, **attributes}, tuple(wanted), opset)


# Models.


def made(node: Node, name: str = "node", rename: Mapping[str, str] | None = None, domain: str = "") -> Any:
    """The node as onnx has it."""
    names = rename or {}
    inputs = [names.get(each, each) if each in node.inputs else "" for each in INPUTS]
    while inputs and not inputs[-1]:
        inputs.pop()
    outputs = [names.get(each, each) if each in node.wanted else "" for each in OUTPUTS[node.operator]]
    while outputs and not outputs[-1]:
        outputs.pop()
    return helper.make_node(node.operator, inputs, outputs, name=name, domain=domain, **node.attributes)


def value(name: str, array: Array, *, static: bool = True) -> Any:
    """An input of a graph; not static: its axes have names."""
    axes: Sequence[Any] = array.shape if static else [f"{name}_{axis}" for axis in range(array.ndim)]
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), axes)


def output(name: str, dtype: Any = "float32", rank: int | None = None) -> Any:
    """An output of a graph, of any sizes."""
    rank = rank if rank is not None else 4 if name == "Y" else 3
    axes = [f"{name}_{axis}" for axis in range(rank)]
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), axes)


def tensor(name: str, array: Array) -> Any:
    """A constant."""
    return numpy_helper.from_array(array, name)


def whole(
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    constants: Mapping[str, Array] | None = None,
    *,
    opset: int = 14,
    ir_version: int = 8,
    domains: Sequence[str] = (),
) -> Any:
    """A model of some nodes."""
    tensors = [tensor(name, array) for name, array in (constants or {}).items()]
    graph = helper.make_graph(list(nodes), "main", list(inputs), list(outputs), tensors)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def model_of(node: Node, *, static: bool = True, fed: Sequence[str] = (), overridable: bool = False) -> Any:
    """A model of one node. fed: weights that are inputs instead of constants; overridable: all are both."""
    constants = {name: node.inputs[name] for name in WEIGHTS if name in node.inputs and name not in fed}
    given = {name: array for name, array in node.inputs.items() if name not in constants or overridable}
    return whole(
        [made(node)],
        [value(name, array, static=static or name in WEIGHTS) for name, array in given.items()],
        [output(name, node.dtype) for name in node.outputs],
        constants,
        opset=node.opset,
    )


# Sessions.


def options_of(*, ours_alone: bool = True, threads: int = 1, **entries: Any) -> Any:
    """Options that let no node be ONNX Runtime's. entries: of its configuration, with __ for a point."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if ours_alone:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    for key, text in entries.items():
        options.add_session_config_entry(key.replace("__", "."), text)
    return options


def session_of(model: Any, *, ours_alone: bool = True, intra_op: int = 1, **options: Any) -> Any:
    """A session of ours, none of whose nodes is ONNX Runtime's unless that is said."""
    settings = options.pop("sess_options", None) or options_of(ours_alone=ours_alone, threads=intra_op)
    return lstmfast.onnx.session(model, settings, **options)


def run(session: Any, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """All results by name."""
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def by_us(node: Node, **options: Any) -> dict[str, Array]:
    """What a session of ours makes of a node, which must be ours."""
    return run(session_of(model_of(node), **options), node.feeds)


def runtimes_session(model: Any, options: Any = None) -> Any:
    """A session of ONNX Runtime without us."""
    options = options or options_of(ours_alone=False)
    data = model if isinstance(model, (str, bytes)) else model.SerializeToString()
    return onnxruntime.InferenceSession(data, options, [CPU], enable_fallback=0)


def by_runtime(model: Any, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """What ONNX Runtime's own provider makes of a model."""
    return run(runtimes_session(model), feeds)
