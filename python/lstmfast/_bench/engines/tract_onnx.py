"""tract: the ONNX model, typed and optimised by itself, its values made beforehand."""

from __future__ import annotations

import importlib
import importlib.metadata
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..problem import Problem, Results
from . import Run, UnsupportedError, held, inference_alone, onnx_model, try_import

__all__ = ["Tract"]


class Tract:
    """`runnable.run([...])` on values that are tract's own; a step's states are those that it returned.

    States are always inputs of the model: without, it cannot return c of more than one row. In a process of
    its own, because there are models that end it.
    """

    name = "tract"
    precision = "float32"
    apart: Mapping[str, str] = {}

    def __init__(self, threads: int, isa: str | None) -> None:
        self._threads = threads
        self._isa = isa
        self._tract: Any = None

    def missing(self) -> str | None:
        """Import it, and the onnx package, which the model is built with."""
        if reason := try_import("tract", "onnx"):
            return reason
        self._tract = importlib.import_module("tract")
        return None

    def version(self) -> str:
        """Return its version."""
        return importlib.metadata.version("tract")

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        return {"threads": "1: it has no more", "states": "inputs", "instruction set": held(self._isa)}

    def prepare(self, problem: Problem) -> Run:
        """Read the model and optimise it."""
        inference_alone(problem)
        if self._threads > 1:
            raise UnsupportedError("it has one thread, and others have more in this run")
        model = onnx_model.build(problem, stateful=True).SerializeToString()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.onnx")
            path.write_bytes(model)
            runnable = self._tract.onnx().load(str(path)).into_model().into_runnable()
        value = self._tract.Tensor.from_numpy
        given = [value(array) for array in onnx_model.inputs(problem, stateful=True).values()]
        taken = list(onnx_model.outputs(problem.case))

        def step() -> Any:  # noqa: ANN401 - as tract returns it
            returned = runnable.run(given)
            given[1:] = returned[1:]
            return returned

        def results(returned: Any) -> Results:  # noqa: ANN401
            arrays = [one.to_numpy() for one in returned]
            return onnx_model.results(dict(zip(taken, arrays, strict=True)), problem)

        return Run(step if problem.case.work == "step" else lambda: runnable.run(given), results)
