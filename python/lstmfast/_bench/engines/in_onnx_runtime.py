"""lstmfast inside ONNX Runtime: the sessions of `onnx_runtime`, whose recurrent nodes are ours."""

from __future__ import annotations

from typing import Any

import lstmfast

from ... import onnx
from ..problem import Problem
from .onnx_runtime import OnnxRuntimeBound

__all__ = ["InOnnxRuntime", "InOnnxRuntimeNoSpinning"]


class InOnnxRuntime(OnnxRuntimeBound):
    """`lstmfast.onnx.session` of the same model with the same options, and everything bound likewise."""

    name = "lstmfast in ONNX Runtime"
    _provider = "LstmfastExecutionProvider, CPUExecutionProvider"

    def missing(self) -> str | None:
        """Import ONNX Runtime, and make our provider known to it."""
        if reason := super().missing():
            return reason
        try:
            onnx.register()
        except ImportError as error:  # it is too old
            return str(error)
        except Exception as error:  # it may have changed
            return f"lstmfast.onnx cannot be registered: {type(error).__name__}: {error}"
        return None

    def version(self) -> str:
        """Return lstmfast's version, and ONNX Runtime's."""
        return f"{lstmfast.__version__} in ONNX Runtime {super().version()}"

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        return {**super().settings(), "instruction set": self._isa or lstmfast.isa()}

    def session(self, model: Any) -> Any:  # noqa: ANN401 - onnxruntime is not there for the type checker
        """Make a session of a model, bytes or a path."""
        return onnx.session(model, self._options(), isa=self._isa)

    def _model(self, problem: Problem) -> bytes:
        """Build the model; every recurrent node of it must be ours, or something else would be timed."""
        model = super()._model(problem)
        found = onnx.explain(model, self._options())
        if not found.nodes or any(node.path != "lstmfast" for node in found.nodes):
            raise RuntimeError(f"not all of its nodes run on lstmfast: {found}")
        return model


class InOnnxRuntimeNoSpinning(InOnnxRuntime):
    """The same with ONNX Runtime's threads going to sleep as soon as their work is done."""

    name = "lstmfast in ONNX Runtime no spinning"
    _spinning = False
