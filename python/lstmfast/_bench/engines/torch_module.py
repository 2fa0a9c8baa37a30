"""lstmfast behind PyTorch's modules: what is left of its speed when tensors go in and come out."""

from __future__ import annotations

import importlib
from typing import Any

import lstmfast

from ..problem import Problem
from . import Run, UnsupportedError, process_isa, torch_cells
from .pytorch import PyTorch

__all__ = ["FrozenModule", "Module"]


class Module(PyTorch):
    """PyTorch's module after `lstmfast.torch.accelerate`: every call looks whether weights have changed."""

    name = "lstmfast.torch"

    def missing(self) -> str | None:
        """Import PyTorch, and set the threads of both."""
        lstmfast.set_num_threads(self._threads)
        return super().missing()

    def version(self) -> str:
        """Return lstmfast's version, and PyTorch's."""
        return f"{lstmfast.__version__} in PyTorch {super().version()}"

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        return {**super().settings(), "instruction set": lstmfast.isa()}

    def _module(self, problem: Problem) -> Any:  # noqa: ANN401 - PyTorch is not there for the type checker
        ours = self._ours()
        if not hasattr(ours, problem.case.kind.name):
            raise UnsupportedError(f"it has no {problem.case.kind.name}")
        return ours.accelerate(super()._module(problem))

    def _cell(self, problem: Problem) -> Any:  # noqa: ANN401
        return torch_cells.build(self._torch, self._ours(), problem)

    def _ours(self) -> Any:  # noqa: ANN401
        process_isa(self._isa)
        return importlib.import_module("lstmfast.torch")


class FrozenModule(Module):
    """The same after `freeze()`: no look at the weights, and no gradient for them."""

    name = "lstmfast.torch frozen"

    def prepare(self, problem: Problem) -> Run:
        """Build the module and freeze it."""
        if problem.case.work == "train":
            raise UnsupportedError("frozen weights have no gradient")
        return super().prepare(problem)

    def _module(self, problem: Problem) -> Any:  # noqa: ANN401
        return super()._module(problem).freeze()

    def _cell(self, problem: Problem) -> Any:  # noqa: ANN401
        cell = super()._cell(problem)
        return self._ours().freeze(cell)
