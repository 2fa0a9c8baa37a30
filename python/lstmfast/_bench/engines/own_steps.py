"""lstmfast trained step by step: `forward` and `backward` of one step each, gradients summed in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problem import Problem, Results
from . import Run

__all__ = ["training"]


def training(model: Any, problem: Problem) -> Run:  # noqa: ANN401 - of any kind
    """Run all steps forward, then all of them back.

    The state goes on from step to step, and its gradient back; the weights are in every step, so their
    gradients are sums over all.
    """
    xs = list(problem.x[:, np.newaxis])  # of a step [1, B, I]
    dys = list(problem.dy[:, np.newaxis])

    def forward() -> tuple[list[Any], list[Any]]:
        state, outputs, tapes = None, [], []
        for x in xs:
            y, state, tape = model.forward(x, state)
            outputs.append(y)
            tapes.append(tape)
        return outputs, tapes

    def train() -> Any:  # noqa: ANN401 - as the results are read
        outputs, tapes = forward()
        dx = np.empty_like(problem.x)
        dstate, sums = None, None
        for t in range(len(xs) - 1, -1, -1):
            grads = model.backward(tapes[t], dys[t], dstate)
            dx[t], dstate = grads.x[0], grads.state
            if sums is None:
                sums = grads.parameters
            else:
                for name, array in grads.parameters.items():
                    sums[name] += array
        return np.concatenate(outputs), dx, sums

    return Run(train, _gradients, tape_bytes=sum(tape.nbytes for tape in forward()[1]))


def _gradients(returned: Any) -> Results:  # noqa: ANN401
    y, dx, sums = returned
    return {"y": y, "dx": dx, **{f"d {name}": array for name, array in sums.items()}}
