"""PyTorch's step modules, `LSTMCell` and its like, or others with their names: a call for every step."""

from __future__ import annotations

from typing import Any

from ..problem import Problem, Results
from . import Run, UnsupportedError, named

__all__ = ["build", "run"]

# PyTorch's modules and functions have no types here: it may not be there for the type checker.


def build(torch: Any, where: Any, problem: Problem) -> Any:  # noqa: ANN401
    """Make the step module of a case's cell, of those that `where` has."""
    case = problem.case
    name = f"{case.kind.name}Cell"
    if not hasattr(where, name):
        raise UnsupportedError(f"it has no {name}")
    cell = getattr(where, name)(case.I, case.H)
    cell.load_state_dict(
        {name.removesuffix("_l0"): torch.tensor(array) for name, array in problem.weights.items()}
    )
    return cell


def run(torch: Any, cell: Any, problem: Problem) -> Run:  # noqa: ANN401
    """Step, or train over all steps: a loop that makes y of every step's h, and gradients of it."""
    x = torch.tensor(problem.x)
    if problem.case.work == "train":
        cell.train()
        x.requires_grad_()
        dy = torch.tensor(problem.dy)
        names, parameters = zip(*cell.named_parameters(), strict=True)

        def train() -> Any:  # noqa: ANN401
            state, outputs = None, []
            for x_t in x.unbind():
                state = cell(x_t, state)
                outputs.append(_halves(state)[0])
            y = torch.stack(outputs)
            return y, torch.autograd.grad(y, (x, *parameters), dy)

        def gradients(returned: Any) -> Results:  # noqa: ANN401
            y, (dx, *grads) = returned
            of_parameters = {f"d {name}_l0": grad.numpy() for name, grad in zip(names, grads, strict=True)}
            return {"y": y.detach().numpy(), "dx": dx.numpy(), **of_parameters}

        return Run(train, gradients)

    cell.eval()
    state: Any = None
    x_t = x[0]

    def step() -> Any:  # noqa: ANN401
        nonlocal state
        state = cell(x_t, state)
        return state

    def states(state: Any) -> Results:  # noqa: ANN401
        h, *c = (half.numpy()[None] for half in _halves(state))
        return named(h, h, *c)

    return Run(step, states, torch.inference_mode)


def _halves(state: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """Return h and, of an LSTM, c."""
    return state if isinstance(state, tuple) else (state,)
