"""Other engines that take ONNX: `python -m tests.onnx.engines ENGINE MODEL INPUTS RESULTS` runs one twice.

In a process of its own, because some models end it. INPUTS is a .npz of arrays, of the first call by the
model's names for its inputs, and of the second as "again NAME"; so is RESULTS, which is written.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Inputs = Mapping[str, Any]
Call = Callable[[Inputs], Sequence[Any]]


def onnxruntime(model: str, inputs: list[str], outputs: list[str]) -> Call:
    """ONNX Runtime's own CPU provider."""
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(model, options, ["CPUExecutionProvider"])
    return lambda given: session.run(outputs, dict(given))


def openvino(model: str, inputs: list[str], outputs: list[str]) -> Call:
    """OpenVINO on a CPU, in float32."""
    core = importlib.import_module("openvino").Core()
    compiled = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def call(given: Inputs) -> Sequence[Any]:
        found = compiled(dict(given))
        return [found[name] for name in outputs]

    return call


def opencv(model: str, inputs: list[str], outputs: list[str]) -> Call:
    """OpenCV's dnn."""
    net = importlib.import_module("cv2").dnn.readNetFromONNX(np.fromfile(model, np.uint8))

    def call(given: Inputs) -> Sequence[Any]:
        for name, array in given.items():
            net.setInput(array, name)
        return [np.array(each) for each in net.forward(outputs)]

    return call


def tract(model: str, inputs: list[str], outputs: list[str]) -> Call:
    """Sonos's tract, which takes inputs in their order."""
    runnable = importlib.import_module("tract").onnx().load(model).into_model().into_runnable()
    return lambda given: [each.to_numpy() for each in runnable.run([given[name] for name in inputs])]


def mnn(model: str, inputs: list[str], outputs: list[str]) -> Call:
    """MNN, whose converter is called as a function: as a command it installs what it logs with."""
    nn, expr = importlib.import_module("MNN.nn"), importlib.import_module("MNN.expr")
    convert = importlib.import_module("_tools").mnnconvert
    with tempfile.TemporaryDirectory() as folder:
        own = str(Path(folder, "model.mnn"))
        convert(
            ["mnnconvert", "-f", "ONNX", "--modelFile", model, "--MNNModel", own, "--bizCode", "lstmfast"]
        )
        module = nn.load_module_from_file(own, inputs, outputs)
    kinds = {"float32": expr.float, "int32": expr.int}

    def variable(array: Any) -> Any:
        return expr.const(array.ravel().tolist(), list(array.shape), expr.NCHW, kinds[array.dtype.name])

    def call(given: Inputs) -> Sequence[Any]:
        return [np.array(each.read()) for each in module.forward([variable(given[name]) for name in inputs])]

    return call


ENGINES: dict[str, tuple[Callable[[str, list[str], list[str]], Call], str]] = {
    # who runs them, and the package that is needed
    "ONNX Runtime": (onnxruntime, "onnxruntime"),
    "OpenVINO": (openvino, "openvino"),
    "OpenCV": (opencv, "cv2"),
    "tract": (tract, "tract"),
    "MNN": (mnn, "MNN"),
}


def main(engine: str, model: str, inputs: str, results: str) -> None:
    """Run a model."""
    graph = importlib.import_module("onnx").load(model).graph
    names, outputs = ([each.name for each in values] for values in (graph.input, graph.output))
    call = ENGINES[engine][0](model, names, outputs)
    arrays = dict(np.load(inputs))
    found: dict[str, Any] = {}
    for prefix in ("", "again "):
        returned = call({name: arrays[prefix + name] for name in names})
        found |= {prefix + name: np.array(each) for name, each in zip(outputs, returned, strict=True)}
    np.savez(results, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
