"""lstmfast inside Keras: the models of `keras_backends` after `lstmfast.keras.accelerate`."""

from __future__ import annotations

import importlib
from typing import Any

import lstmfast

from ..problem import Problem
from . import Run, process_isa
from .keras_backends import KerasJax, KerasTensorFlow, KerasTorch
from .keras_model import KerasModel

__all__ = ["InKerasJax", "InKerasTensorFlow", "InKerasTorch"]


class _InKeras:
    """What all have in common, before a class of Keras alone."""

    _threads: int
    _isa: str | None

    def missing(self) -> str | None:
        """Import Keras and what is beside it, and set the threads of all."""
        lstmfast.set_num_threads(self._threads)
        reason: str | None = super().missing()  # type: ignore[misc]
        return reason

    def version(self) -> str:
        """Return lstmfast's version, and Keras's."""
        return f"{lstmfast.__version__} in Keras {super().version()}"  # type: ignore[misc]

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        return {**super().settings(), "instruction set": lstmfast.isa()}  # type: ignore[misc]

    def prepare(self, problem: Problem) -> Run:
        """Build the model."""
        process_isa(self._isa)
        run: Run = super().prepare(problem)  # type: ignore[misc]
        return run

    def _prepare(self, built: KerasModel) -> None:
        """Accelerate the model; every recurrent layer must be ours, or something else would be timed."""
        ours: Any = importlib.import_module("lstmfast.keras")
        ours.accelerate(built.model)
        for layer in built.layers:
            found = ours.explain(layer)
            if found.path != "lstmfast":
                raise RuntimeError(f"not all of its layers run on lstmfast: {found}")


class InKerasTorch(_InKeras, KerasTorch):
    """On PyTorch: results of the core, gradients by its autograd node."""

    name = "lstmfast in Keras torch"


class InKerasJax(_InKeras, KerasJax):
    """On JAX: the functions of `lstmfast.jax`."""

    name = "lstmfast in Keras JAX"


class InKerasTensorFlow(_InKeras, KerasTensorFlow):
    """On TensorFlow: a call of the host within its functions."""

    name = "lstmfast in Keras TensorFlow"
