"""`lstmfast.reference` in float32: NumPy, written to be read."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstmfast.reference import Reference

from ..problem import Problem, Results
from . import Run, UnsupportedError, held, layers_alone, named

__all__ = ["NumPy"]


class NumPy:
    """The reference's `forward` and `backward`; it keeps what `backward` needs, whether or not it comes."""

    name = "NumPy"
    precision = "float32"

    def __init__(self, threads: int, isa: str | None) -> None:
        self._threads = threads
        self._isa = isa

    def missing(self) -> None:
        """Do nothing: it is always there."""

    def version(self) -> str:
        """Return its version."""
        return np.__version__

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        return {
            "threads": f"{self._threads} (OPENBLAS_NUM_THREADS and its like)",
            "instruction set": held(self._isa, "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES"),
        }

    def prepare(self, problem: Problem) -> Run:
        """Convert the weights."""
        layers_alone(problem)
        case, x, dy = problem.case, problem.x, problem.dy
        if problem.lengths is not None or problem.reset is not None:
            raise UnsupportedError("it would run each row's pieces alone, which is no batch")
        reference = Reference(
            case.kind.cells[0].name, problem.weights, case.layers, case.directions == 2, dtype=np.float32
        )

        if case.work == "train":

            def train() -> Any:  # noqa: ANN401 - as the reference returns it
                y, _, cache = reference.forward(x)
                return y, reference.backward(cache, dy)

            return Run(train, _gradients)

        if case.work == "step":
            h: Any = None
            c: Any = None

            def step() -> Any:  # noqa: ANN401
                nonlocal h, c
                y, (h, c), _ = reference.forward(x, h, c)
                return y, (h, c)

            return Run(step, _states)

        return Run(lambda: reference.forward(x)[:2], _states)


def _states(returned: Any) -> Results:  # noqa: ANN401
    y, (h_n, c_n) = returned
    return named(y, h_n, c_n)


def _gradients(returned: Any) -> Results:  # noqa: ANN401
    y, (dx, _, _, dparameters) = returned
    return {"y": y, "dx": dx, **{f"d {name}": array for name, array in dparameters.items()}}
