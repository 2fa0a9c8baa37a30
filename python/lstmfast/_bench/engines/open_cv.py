"""OpenCV's dnn module: the ONNX model read by its importer, `setInput` and `forward`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..problem import Problem, Results
from . import Run, UnsupportedError, held, inference_alone, onnx_model, try_import

__all__ = ["OpenCv"]


class OpenCv:
    """`net.setInput(x)`, then `net.forward` of y and of every state; a step sets the states, too.

    States are always inputs of the model: without, its second call can fail. Both copy, and both are timed,
    as there is no way around them.
    """

    name = "OpenCV"
    precision = "float32"
    apart: Mapping[str, str] = {}

    def __init__(self, threads: int, isa: str | None) -> None:
        self._threads = threads
        self._isa = isa
        self._cv2: Any = None

    def missing(self) -> str | None:
        """Import it, and the onnx package, which the model is built with; set its threads."""
        if reason := try_import("cv2", "cv2.dnn", "onnx"):
            return reason
        self._cv2 = importlib.import_module("cv2")
        self._cv2.setNumThreads(self._threads)
        return None

    def version(self) -> str:
        """Return its version."""
        return str(self._cv2.__version__)

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        return {
            "threads": str(self._cv2.getNumThreads()),
            "states": "inputs of the model",
            "instruction set": held(self._isa, "OPENCV_CPU_DISABLE"),
        }

    def prepare(self, problem: Problem) -> Run:
        """Read the model."""
        inference_alone(problem)
        case = problem.case
        if case.cell == "rnn":
            raise UnsupportedError("it has no RNN")
        if case.directions == 2:
            raise UnsupportedError("the states of its reverse direction are those of the last time step")
        model = onnx_model.build(problem, stateful=True).SerializeToString()
        net = self._cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
        for name, array in onnx_model.inputs(problem, stateful=True).items():
            net.setInput(array, name)
        taken, states, x = list(onnx_model.outputs(case)), case.states, problem.x

        def call() -> Any:  # noqa: ANN401 - as OpenCV returns it
            net.setInput(x, "x")
            return net.forward(taken)

        def step() -> Any:  # noqa: ANN401
            returned = call()
            for name, array in zip(states, returned[1:], strict=True):
                net.setInput(array, name)
            return returned

        def results(returned: Any) -> Results:  # noqa: ANN401
            return onnx_model.results(dict(zip(taken, returned, strict=True)), problem)

        return Run(step if case.work == "step" else call, results)
