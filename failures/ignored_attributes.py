"""Attributes and inputs of an ONNX node that an engine does not know, and passes over.

Where: most engines that read ONNX files, without an error: OpenVINO (peepholes, input_forget, layout:
https://github.com/openvinotoolkit/openvino/issues/37820), OpenCV, tract, MNN (docs/onnx.md has the table),
and the standard's own reference in Python (findings/onnx-reference-ignores-attributes.sh).
What comes of it: a converted model that is a little worse than it was, or much, and nobody to say why.
Here: every attribute and input of LSTM is computed, in a session and by layers read from the file: compared
with the standard's equations in plain NumPy, and each is seen to matter. What cannot be read is an error.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

T, B, I, H = 6, 3, 4, 5
CURVES: dict[str, Callable[[Any], Any]] = {
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Tanh": np.tanh,
    "Relu": lambda x: np.maximum(x, 0),
    "HardSigmoid": lambda x: np.clip(0.3 * x + 0.4, 0, 1),
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "LeakyRelu": lambda x: np.where(x < 0, 0.1 * x, x),
}
# Attributes, whether there are peepholes, and lengths.
CASES: dict[str, tuple[dict[str, Any], bool, bool]] = {
    "nothing more": ({}, False, False),
    "reverse": ({"direction": "reverse"}, False, False),
    "both directions": ({"direction": "bidirectional"}, False, False),
    "peepholes": ({}, True, False),
    "input_forget": ({"input_forget": 1}, False, False),
    "clip": ({"clip": 0.3}, False, False),
    "activations": (
        {
            "activations": ["HardSigmoid", "Softsign", "LeakyRelu"],
            "activation_alpha": [0.3, 0.1],
            "activation_beta": [0.4],
        },
        False,
        False,
    ),
    "activations of one direction": (
        {
            "direction": "bidirectional",
            "activations": ["Sigmoid", "Tanh", "Tanh", "Sigmoid", "Relu", "Softsign"],
        },
        False,
        False,
    ),
    "lengths": ({}, False, True),
    "lengths in reverse": ({"direction": "reverse"}, False, True),
    "layout": ({"layout": 1}, False, False),
    "all of them": (
        {
            "direction": "bidirectional",
            "layout": 1,
            "clip": 0.5,
            "input_forget": 1,
            "activations": ["Sigmoid", "Tanh", "Relu"] * 2,
        },
        True,
        True,
    ),
}


def inputs_of(name: str) -> dict[str, np.ndarray]:
    attributes, peepholes, lengths = CASES[name]
    rng = np.random.default_rng(0)
    D = 2 if attributes.get("direction") == "bidirectional" else 1

    def random(*shape: int) -> np.ndarray:
        return (0.6 * rng.standard_normal(shape)).astype(np.float32)

    given = {
        "X": random(T, B, I),
        "W": random(2, 4 * H, I)[:D],
        "R": random(2, 4 * H, H)[:D],
        "B": random(2, 8 * H)[:D],
    }
    states = {"initial_h": random(2, B, H)[:D], "initial_c": random(2, B, H)[:D]}
    P = random(2, 3 * H)[:D]
    if lengths:
        given["sequence_lens"] = np.array([T, 2, T - 2], np.int32)
    given |= states
    if peepholes:
        given["P"] = P
    if attributes.get("layout"):
        given |= {each: given[each].swapaxes(0, 1).copy() for each in ("X", "initial_h", "initial_c")}
    return given


def truth(name: str) -> np.ndarray:
    """Y as the standard's equations have it, in float64: [T, D, B, H], or with layout [B, T, D, H]."""
    attributes = CASES[name][0]
    given = {each: array.astype(np.float64) for each, array in inputs_of(name).items()}
    if attributes.get("layout"):
        given |= {each: given[each].swapaxes(0, 1) for each in ("X", "initial_h", "initial_c")}
    x, D = given["X"], len(given["W"])
    y = np.zeros((T, D, B, H))
    limit = attributes.get("clip", np.inf)
    for d in range(D):
        names = attributes.get("activations", ["Sigmoid", "Tanh", "Tanh"] * D)[3 * d : 3 * d + 3]
        gate, candidate, output = (CURVES[each] for each in names)
        p_i, p_o, p_f = np.split(given["P"][d], 3) if "P" in given else np.zeros((3, H))
        backwards = d == 1 or attributes.get("direction") == "reverse"
        for b in range(B):
            length = int(given["sequence_lens"][b]) if "sequence_lens" in given else T
            h, c = given["initial_h"][d, b], given["initial_c"][d, b]
            for t in reversed(range(length)) if backwards else range(length):
                z = given["W"][d] @ x[t, b] + given["R"][d] @ h + given["B"][d].reshape(2, -1).sum(0)
                z_i, z_o, z_f, z_c = np.split(z, 4)
                i = gate(np.clip(z_i + p_i * c, -limit, limit))
                f = 1 - i if attributes.get("input_forget") else gate(np.clip(z_f + p_f * c, -limit, limit))
                c = f * c + i * candidate(np.clip(z_c, -limit, limit))
                h = gate(np.clip(z_o + p_o * c, -limit, limit)) * output(c)
                y[t, d, b] = h
    return y.transpose(2, 0, 1, 3) if attributes.get("layout") else y


def model_of(name: str) -> Any:
    helper = importlib.import_module("onnx").helper
    numpy_helper = importlib.import_module("onnx").numpy_helper
    given = inputs_of(name)
    order = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
    names = [each if each in given else "" for each in order]
    node = helper.make_node("LSTM", names, ["Y"], name="node", hidden_size=H, **CASES[name][0])
    free = [each for each in given if each not in ("W", "R", "B", "P")]
    inputs = [
        helper.make_tensor_value_info(each, 6 if each == "sequence_lens" else 1, given[each].shape)
        for each in free
    ]
    outputs = [helper.make_tensor_value_info("Y", 1, truth(name).shape)]
    constants = [numpy_helper.from_array(array, each) for each, array in given.items() if each not in free]
    graph = helper.make_graph([node], "graph", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


def fed(name: str) -> dict[str, np.ndarray]:
    return {each: array for each, array in inputs_of(name).items() if each not in ("W", "R", "B", "P")}


def by_session(name: str) -> np.ndarray:
    onnx = importlib.import_module("lstmfast.onnx")
    session = onnx.session(model_of(name).SerializeToString())
    return np.asarray(session.run(["Y"], fed(name))[0])


def by_layer(name: str) -> np.ndarray:
    (layer,) = importlib.import_module("lstmfast.onnx").layers(model_of(name)).values()
    given = fed(name)
    batch_first = bool(CASES[name][0].get("layout"))
    state = tuple(
        given[each].swapaxes(0, 1) if batch_first else given[each] for each in ("initial_h", "initial_c")
    )
    y, _ = layer(given["X"], state, lengths=given.get("sequence_lens"))
    y = y.reshape(*y.shape[:2], -1, H)
    return y if batch_first else y.swapaxes(1, 2)


def by_onnx_runtime(name: str) -> np.ndarray:
    onnxruntime = importlib.import_module("onnxruntime")
    onnxruntime.set_default_logger_severity(4)
    session = onnxruntime.InferenceSession(
        model_of(name).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(["Y"], fed(name))[0])


def by_reference(name: str) -> np.ndarray:
    reference = importlib.import_module("onnx.reference")
    return np.asarray(reference.ReferenceEvaluator(model_of(name)).run(["Y"], fed(name))[0])


def by_openvino(name: str) -> np.ndarray:
    core = importlib.import_module("openvino").Core()
    model = core.read_model(model_of(name).SerializeToString())
    return np.asarray(core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(fed(name))["Y"])


def main() -> None:
    try:
        importlib.import_module("onnx")
        importlib.import_module("onnxruntime")
    except ImportError as error:
        print(f"not run: {error}")
        return
    for name in CASES:
        expected = truth(name)
        for way in (by_session, by_layer):
            if way is by_layer and name == "activations of one direction":
                try:
                    way(name)
                except (ValueError, NotImplementedError):
                    continue  # a layer has one set for both directions: refused, not passed over
                sys.exit(f"lstmfast: {way.__name__} takes activations that differ between directions")
            found = way(name)
            if found.shape != expected.shape:
                sys.exit(f"lstmfast: {way.__name__} of a node with {name} has the shape {found.shape}")
            if (off := np.abs(found - expected).max()) > 1e-5:
                sys.exit(f"lstmfast: {way.__name__} of a node with {name} is off by {off:.2g}")
        plain = truth("both directions" if "irection" in name else "nothing more")
        if (
            name not in ("nothing more", "both directions")
            and plain.shape == expected.shape
            and np.allclose(plain, expected, atol=0.01)
        ):
            sys.exit(f"the node with {name} is no test: it computes what it would without")
    print(f"lstmfast: a node's {', '.join(list(CASES)[1:])}: computed as the standard says")


def others() -> None:
    for module, way in (("onnxruntime", by_onnx_runtime), ("onnx", by_reference), ("openvino", by_openvino)):
        try:
            version = importlib.import_module(module).__version__
        except ImportError:
            print(f"{module}: not installed")
            continue
        said = {}
        for name in CASES:
            try:
                found, expected = way(name), truth(name)
                right = found.shape == expected.shape and np.abs(found - expected).max() < 1e-4
                said[name] = "right" if right else "wrong, and says nothing"
            except Exception as error:
                said[name] = f"refused ({type(error).__name__})"
        for verdict in sorted(set(said.values())):
            print(
                f"{module} {version}: {verdict}:", ", ".join(name for name in CASES if said[name] == verdict)
            )


if __name__ == "__main__":
    main()
    others()
