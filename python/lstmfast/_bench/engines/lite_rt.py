"""LiteRT (once TensorFlow Lite): its own operators for whole sequences, in its interpreter."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..problem import Problem, Results
from . import Run, UnsupportedError, held, inference_alone, lite_model, named, try_import

__all__ = ["LiteRt"]


class LiteRt:
    """`set_tensor(x)` and `invoke`.

    It keeps the state itself: sequences begin with `reset_all_variables`, which is timed; steps go on.
    """

    name = "LiteRT"
    precision = "float32"
    apart: Mapping[str, str] = {}

    def __init__(self, threads: int, isa: str | None) -> None:
        self._threads = threads
        self._isa = isa
        self._interpreter: Any = None

    def missing(self) -> str | None:
        """Import it, and what its schema is written with."""
        if reason := try_import("ai_edge_litert", "ai_edge_litert.interpreter", "flatbuffers"):
            return reason
        self._interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter
        return try_import("ai_edge_litert.schema_py_generated")

    def version(self) -> str:
        """Return its version."""
        return importlib.metadata.version("ai-edge-litert")

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        return {
            "threads": f"num_threads {self._threads}",
            "operators": "UNIDIRECTIONAL_SEQUENCE_LSTM, UNIDIRECTIONAL_SEQUENCE_RNN",
            "instruction set": held(self._isa),
        }

    def prepare(self, problem: Problem) -> Run:
        """Write the model and load it."""
        inference_alone(problem)
        case, x = problem.case, problem.x
        if case.cell == "gru":
            raise UnsupportedError("it has no operator for a GRU")
        if case.directions == 2:
            raise UnsupportedError("its operator has one direction")
        model, states = lite_model.build(problem)
        interpreter = self._interpreter(model_content=model, num_threads=self._threads)
        interpreter.allocate_tensors()
        (taken,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()

        def step() -> None:
            interpreter.set_tensor(taken["index"], x)
            interpreter.invoke()

        def call() -> None:
            interpreter.reset_all_variables()
            step()

        def results(_: object) -> Results:
            y = interpreter.get_tensor(made["index"])
            ends = [
                np.stack([interpreter.get_tensor(one) for one in each]) for each in zip(*states, strict=True)
            ]
            return named(y, *ends)

        return Run(step if case.work == "step" else call, results, keep=model)
