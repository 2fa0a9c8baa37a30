"""lstmfast inside JAX: the functions of `lstmfast.jax`, compiled and differentiated as `jax_scan` is."""

from __future__ import annotations

import importlib
from typing import Any

import lstmfast

from ..problem import Problem
from . import Run, process_isa
from .jax_scan import Jax

__all__ = ["InJax"]


class InJax(Jax):
    """`jit` of `lstmfast.jax.lstm` or its like, weights being arguments; `vjp` for training."""

    name = "lstmfast in JAX"

    def missing(self) -> str | None:
        """Import JAX, and set the threads of both."""
        lstmfast.set_num_threads(self._threads)
        return super().missing()

    def version(self) -> str:
        """Return lstmfast's version, and JAX's."""
        return f"{lstmfast.__version__} in JAX {super().version()}"

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        told = super().settings()
        return {**told, "lengths": "lengths=", "reset": "reset=", "instruction set": lstmfast.isa()}

    def prepare(self, problem: Problem) -> Run:
        """Compile for these shapes."""
        process_isa(self._isa)
        self._cell = problem.case.cell
        return super().prepare(problem)

    def _forward(self, weights: Any, x: Any, state: Any, cuts: Any, layers: int) -> Any:  # noqa: ANN401
        del layers  # which the weights' names tell
        lengths, reset = cuts
        pair = len(state) > 1
        function: Any = getattr(importlib.import_module("lstmfast.jax"), self._cell)
        y, end = function(x, weights, state if pair else state[0], lengths=lengths, reset=reset)
        return y, end if pair else (end,)
