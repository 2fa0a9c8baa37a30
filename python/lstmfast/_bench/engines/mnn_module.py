"""MNN: the ONNX model in its own format, as a module that takes and returns its variables."""

from __future__ import annotations

import importlib
import importlib.metadata
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..problem import Array, Problem, Results
from . import Run, UnsupportedError, held, inference_alone, onnx_model, try_import

__all__ = ["Mnn"]


class Mnn:
    """`module.forward([...])`, and `read` of all that it returns, before which nothing need be computed.

    A step's states are the variables that it returned. Its converter is called as a function, in a process
    of its own: as a command it would install what it logs with.
    """

    name = "MNN"
    precision = "float32"
    apart: Mapping[str, str] = {}

    def __init__(self, threads: int, isa: str | None) -> None:
        self._isa = isa
        # "high" is float32; "normal" may be less on some CPUs.
        self._config = {"backend": "CPU", "numThread": threads, "precision": "high"}
        self._mnn: Any = None

    def missing(self) -> str | None:
        """Import it, and the onnx package, which the model is built with."""
        if reason := try_import("MNN", "MNN.nn", "MNN.expr", "_tools", "onnx"):
            return reason
        self._mnn = importlib.import_module("MNN")
        return None

    def version(self) -> str:
        """Return its version."""
        return importlib.metadata.version("MNN")

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        config = {key: str(value) for key, value in self._config.items() if key != "numThread"}
        return {
            "threads": f"numThread {self._config['numThread']}",
            **config,
            "instruction set": held(self._isa),
        }

    def prepare(self, problem: Problem) -> Run:
        """Convert the model and load it."""
        inference_alone(problem)
        taken = list(onnx_model.outputs(problem.case))
        given = onnx_model.inputs(problem, stateful=True)
        module = self._module(
            onnx_model.build(problem, stateful=True).SerializeToString(), list(given), taken
        )
        variables = [self._variable(array) for array in given.values()]

        def call() -> list[Array]:
            return [one.read() for one in module.forward(variables)]

        def step() -> list[Array]:
            returned = module.forward(variables)
            variables[1:] = returned[1:]
            return [one.read() for one in returned]

        def results(returned: list[Array]) -> Results:
            return onnx_model.results(dict(zip(taken, map(np.array, returned), strict=True)), problem)

        return Run(step if problem.case.work == "step" else call, results, keep=module)

    def _module(self, model: bytes, inputs: list[str], outputs: list[str]) -> Any:  # noqa: ANN401
        """Convert the model, all of its sizes fixed, and load it."""
        tools = importlib.import_module("_tools")
        with tempfile.TemporaryDirectory() as folder:
            theirs, own = Path(folder, "model.onnx"), Path(folder, "model.mnn")
            theirs.write_bytes(model)
            files = ["--modelFile", str(theirs), "--MNNModel", str(own)]
            tools.mnnconvert(["mnnconvert", "-f", "ONNX", *files, "--bizCode", "lstmfast"])
            if not own.exists():
                raise UnsupportedError("its converter made nothing of the model")
            runtime = self._mnn.nn.create_runtime_manager((self._config,))
            return self._mnn.nn.load_module_from_file(str(own), inputs, outputs, runtime_manager=runtime)

    def _variable(self, array: Array) -> Any:  # noqa: ANN401
        expr = self._mnn.expr
        return expr.const(array.ravel().tolist(), list(array.shape), expr.NCHW, expr.float)
