"""lstmfast itself, as its users call it."""

from __future__ import annotations

from typing import Any

import lstmfast

from ..problem import Problem, Results
from . import OURS, Run

__all__ = ["Ours"]


class Ours:
    """`lstm(x)`; for a step `lstm(x, state, out=(y, state))`; for training `forward` and `backward`."""

    name = OURS
    precision = "float32"

    def __init__(self, threads: int, isa: str | None) -> None:
        self._threads = threads
        self._isa = isa or lstmfast.isa()

    def missing(self) -> None:
        """Set the threads; it is always there."""
        lstmfast.set_num_threads(self._threads)

    def version(self) -> str:
        """Return its version."""
        return lstmfast.__version__

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        return {
            "threads": str(lstmfast.get_num_threads()),
            "instruction set": self._isa,
            "step": "results written in place (out=)",
        }

    def prepare(self, problem: Problem) -> Run:
        """Pack the weights."""
        case, x, dy = problem.case, problem.x, problem.dy
        lstm = lstmfast.LSTM(case.I, case.H, case.layers, bidirectional=case.directions == 2, isa=self._isa)
        lstm.load_state_dict(problem.weights)

        if case.work == "train":

            def train() -> Any:  # noqa: ANN401 - as lstmfast returns it
                y, _, tape = lstm.forward(x)
                return y, lstm.backward(tape, dy)

            return Run(train, _gradients)

        if case.work == "step":
            y, state = lstm(x)
            for array in state:
                array[...] = 0
            out = (y, state)

            def step() -> Any:  # noqa: ANN401
                return lstm(x, state, out=out)

            return Run(step, _states)

        return Run(lambda: lstm(x), _states)


def _states(returned: Any) -> Results:  # noqa: ANN401
    y, (h_n, c_n) = returned
    return {"y": y, "h_n": h_n, "c_n": c_n}


def _gradients(returned: Any) -> Results:  # noqa: ANN401
    y, grads = returned
    return {"y": y, "dx": grads.x, **{f"d {name}": array for name, array in grads.parameters.items()}}
