"""lstmfast itself, as its users call it."""

from __future__ import annotations

from typing import Any

import lstmfast

from .. import problem as problems
from ..problem import Problem, Results
from . import OURS, Run, named

__all__ = ["Ours"]


class Ours:
    """`lstm(x)`; for a step `lstm(x, state, out=(y, state))`; for training `forward` and `backward`.

    Where rows have lengths or start anew, `lengths=` or `reset=` in the call and in `forward`; a smaller tape
    is `forward(x, recompute=True)`.
    """

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
        x, dy, work = problem.x, problem.dy, problem.case.work
        cuts = {"lengths": problem.lengths, "reset": problem.reset}
        told: dict[str, Any] = {name: array for name, array in cuts.items() if array is not None}
        model: Any = problems.model(problem.case, self._isa)  # Any: an RNN's state is of another type
        model.load_state_dict(problem.weights)

        if work == "train":
            if problem.case.recompute:
                told["recompute"] = True

            def train() -> Any:  # noqa: ANN401 - as lstmfast returns it
                y, _, tape = model.forward(x, **told)
                return y, model.backward(tape, dy)

            _, _, tape = model.forward(x, **told)
            return Run(train, _gradients, tape_bytes=tape.nbytes)

        if work == "step":
            y, state = model(x)
            for array in _halves(state):
                array[...] = 0
            out = (y, state)

            def step() -> Any:  # noqa: ANN401
                return model(x, state, out=out)

            return Run(step, _states)

        if not told:  # as users write it, and without a keyword the call is shorter
            return Run(lambda: model(x), _states)
        return Run(lambda: model(x, **told), _states)


def _halves(state: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """Return h and, for an LSTM, c."""
    return state if isinstance(state, tuple) else (state,)


def _states(returned: Any) -> Results:  # noqa: ANN401
    y, state = returned
    return named(y, *_halves(state))


def _gradients(returned: Any) -> Results:  # noqa: ANN401
    y, grads = returned
    return {"y": y, "dx": grads.x, **{f"d {name}": array for name, array in grads.parameters.items()}}
