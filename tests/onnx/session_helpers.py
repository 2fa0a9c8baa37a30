"""Nodes of ONNX's recurrent operators, models of them, and what is right: by our reference, in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

import lstmfast
import lstmfast.onnx
from lstmfast.reference import Reference

from ..helpers import Array, random

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

OURS, CPU = "LstmfastExecutionProvider", "CPUExecutionProvider"
VERSION = tuple(map(int, onnxruntime.__version__.split(".")[:2]))

INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
OUTPUTS = {"LSTM": ("Y", "Y_h", "Y_c"), "GRU": ("Y", "Y_h"), "RNN": ("Y", "Y_h")}
WEIGHTS = ("W", "R", "B", "P")
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
USUAL = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}

# What alpha and beta are where a node does not say: of the operators of these names, and in ONNX Runtime.
DEFAULTS: dict[str, tuple[float, ...]] = {
    "Affine": (1.0, 0.0),
    "LeakyRelu": (0.01,),
    "ThresholdedRelu": (1.0,),
    "ScaledTanh": (1.0, 1.0),
    "HardSigmoid": (0.2, 0.5),
    "Elu": (1.0,),
}
RUNTIMES = DEFAULTS | {"Affine": (0.0, 0.0), "ThresholdedRelu": (0.0,), "ScaledTanh": (0.0, 0.0)}
FUNCTIONS = (*DEFAULTS, "Tanh", "Sigmoid", "Relu", "Softsign", "Softplus")


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


def options_of(*, ours_alone: bool = True, threads: int = 1, **entries: str) -> Any:
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


# What is right.


def as_runtime(node: Node) -> bool:
    """Whether ONNX Runtime could run it, so that what it does is what ours does."""
    return node.dtype != np.float64 and not node.batchwise


def truth(node: Node) -> dict[str, Array]:
    """What the node's results are, in float64."""
    given = {name: array.astype("float64") for name, array in node.inputs.items()}
    D, _, H = given["R"].shape
    direction = node.attributes.get("direction", "forward")
    x = given["X"].swapaxes(0, 1) if node.batchwise else given["X"]
    T, B = x.shape[:2]
    states = [given.get("initial_h"), given.get("initial_c")]
    h0, c0 = (half.swapaxes(0, 1) if half is not None and node.batchwise else half for half in states)
    lengths = node.inputs.get("sequence_lens", np.full(B, T)).astype(int)
    y, ends = np.zeros((T, D, B, H)), np.zeros((2, D, B, H))
    for d in range(D):
        reverse = direction == "reverse" or d == 1
        for b in range(B):
            cut = slice(lengths[b])
            halves = [None if half is None else half[d : d + 1, b : b + 1] for half in (h0, c0)]
            if lengths[b] == 0:
                for end, half in zip(ends, halves, strict=True):
                    end[d, b] = 0 if half is None or as_runtime(node) else half[0, 0]
                continue
            network = reference_of(node, d, reverse)
            found, (h_n, c_n), _ = network.forward(
                x[cut, b : b + 1], halves[0], halves[1] if node.operator == "LSTM" else None
            )
            y[cut, d, b] = found[:, 0]
            ends[0, d, b] = h_n[0, 0]
            if c_n is not None:
                ends[1, d, b] = c_n[0, 0]
    if node.batchwise:
        y, ends = y.transpose(2, 0, 1, 3), ends.swapaxes(1, 2)
    results = {"Y": y, "Y_h": ends[0], "Y_c": ends[1]}
    return {name: results[name] for name in node.outputs}


def reference_of(node: Node, d: int, reverse: bool) -> Reference:
    """One direction of the node."""
    operator, count = node.operator, len(USUAL[node.operator])
    after = node.attributes.get("linear_before_reset", 0) == 1
    cell = {"LSTM": "lstm", "GRU": "gru" if after else "gru_reset_before", "RNN": "rnn_tanh"}[operator]
    return Reference(
        cell,
        {f"{name}_l0": array.astype("float64") for name, array in parameters_of(node, d).items()},
        coupled=is_coupled(node),
        clip=clip_of(node),
        activations=tuple(activations_of(node)[d * count : (d + 1) * count]),
        reverse=reverse,
    )


def layer_of(node: Node, **options: Any) -> Any:
    """The node as a layer of ours; its activations must be the same in both directions."""
    direction, given = node.attributes.get("direction", "forward"), node.inputs
    functions = activations_of(node)[: len(USUAL[node.operator])]
    options |= {
        "bidirectional": direction == "bidirectional",
        "direction": "reverse" if direction == "reverse" else "forward",
        "batch_first": node.batchwise,
        "bias": "B" in given,
        "clip": clip_of(node),
        "activations": [(name, *numbers) if numbers else name for name, numbers in functions],
        "dtype": node.dtype,
    }
    if node.operator == "LSTM":
        options |= {"peephole": "P" in given, "coupled": is_coupled(node)}
    if node.operator == "GRU":
        options["reset_after"] = node.attributes.get("linear_before_reset", 0) == 1
    layer = getattr(lstmfast, node.operator)(given["X"].shape[-1], given["R"].shape[-1], **options)
    weights = {}
    for d, way in enumerate(("", "_reverse")[: len(given["R"])]):
        weights |= {f"{name}_l0{way}": array for name, array in parameters_of(node, d).items()}
    layer.load_state_dict(weights)
    return layer


def by_layer(node: Node, layer: Any) -> dict[str, Array]:
    """What a layer makes of the node's inputs, in ONNX's form."""
    given, B = node.inputs, node.inputs["X"].shape[0 if node.batchwise else 1]
    state: Any = [given.get("initial_h"), given.get("initial_c")]
    if node.batchwise:
        state = [None if half is None else half.swapaxes(0, 1) for half in state]
    y, end = layer(
        given["X"],
        tuple(state) if node.operator == "LSTM" else state[0],
        lengths=given.get("sequence_lens"),
    )
    D, _, H = given["R"].shape
    y = y.reshape(*y.shape[:2], D, H)
    ends = end if node.operator == "LSTM" else (end, None)
    results = {"Y": y if node.batchwise else y.swapaxes(1, 2)}
    for name, half in zip(("Y_h", "Y_c"), ends, strict=True):
        if half is not None:
            assert half.shape == (D, B, H)
            results[name] = half.swapaxes(0, 1) if node.batchwise else half
    return {name: np.ascontiguousarray(results[name]) for name in node.outputs}


def is_coupled(node: Node) -> bool:
    """Whether f is 1 - i."""
    return node.operator == "LSTM" and node.attributes.get("input_forget", 0) == 1


def clip_of(node: Node) -> float | None:
    """Its clip, as the float32 that an attribute is."""
    return float(np.float32(node.attributes["clip"])) if "clip" in node.attributes else None


def parameters_of(node: Node, d: int) -> dict[str, Array]:
    """The weights of a direction by our names, in our orders."""
    given = {name: array[d] for name, array in node.inputs.items() if name in WEIGHTS}
    coupled = is_coupled(node)
    # ONNX's i o f c and z r h as our i f g o, i g o and r z n; its peepholes i o f as our i f o and i o.
    order = {"LSTM": [0, 3, 1] if coupled else [0, 2, 3, 1], "GRU": [1, 0, 2], "RNN": [0]}[node.operator]

    def gates(array: Array) -> Array:
        parts = np.split(array, GATES[node.operator])
        return np.concatenate([parts[gate] for gate in order])

    parameters = {"weight_ih": gates(given["W"]), "weight_hh": gates(given["R"])}
    if "B" in given:
        parameters["bias_ih"], parameters["bias_hh"] = map(gates, np.split(given["B"], 2))
    if "P" in given:
        peepholes = np.split(given["P"], 3)
        parameters["weight_ch"] = np.stack([peepholes[gate] for gate in ([0, 1] if coupled else [0, 2, 1])])
    return parameters


def activations_of(node: Node) -> list[tuple[str, tuple[float, ...]]]:
    """Each direction's functions with their numbers, dealt out in order as far as they last."""
    lists = (node.attributes.get(f"activation_{kind}", ()) for kind in ("alpha", "beta"))
    given = [iter(np.array(numbers, np.float32).tolist()) for numbers in lists]
    defaults = RUNTIMES if as_runtime(node) else DEFAULTS
    by_lower = {name.lower(): name for name in FUNCTIONS}
    found = []
    for name in node.attributes.get("activations", USUAL[node.operator] * 2):
        proper = by_lower[name.lower()]
        numbers = [
            next(numbers, default) for numbers, default in zip(given, defaults.get(proper, ()), strict=False)
        ]
        found.append((proper, tuple(numbers)))
    return found


def assert_close(
    found: Mapping[str, Array], right: Mapping[str, Array], bound: float, what: object = ""
) -> None:
    """Compare results by name: to `bound`, relative to the largest number where that is more than 1."""
    assert list(found) == list(right)
    for name, expected in right.items():
        array = found[name]
        assert array.shape == expected.shape, f"{what} {name}: {array.shape}, {expected.shape}"
        if not expected.size:
            continue
        scale = max(1.0, float(np.abs(expected).max()))
        error = float(np.abs(array.astype("float64") - expected).max()) / scale
        assert error <= bound, f"{what} {name}: off by {error:.3g}, more than {bound:.3g}"
