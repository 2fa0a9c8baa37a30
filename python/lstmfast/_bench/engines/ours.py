"""lstmfast itself, as its users call it, and with quantised weights."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import lstmfast

from .. import problem as problems
from ..problem import Array, Problem, Results
from . import OURS, QUANTIZED, Run, UnsupportedError, in_order, named, no_graphs, own_steps, turns

__all__ = ["Bfloat16", "Float16", "Int8", "Ours"]


class Ours:
    """`lstm(x)`; for a step `stream.step(x, out=y)`; for training `forward` and `backward`.

    Many streams are a pool: `pool.step(ids, x, out=y)`.

    Where rows have lengths or start anew, `lengths=` or `reset=` in the call and in `forward`; a smaller tape
    is `forward(x, recompute=True)`. Stepwise training is a loop over `forward` of one step, and one over
    `backward`.
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
            "step": "a stream, of many a pool; results written in place (out=)",
            "stepwise training": "forward and backward of one step each, sums in NumPy",
        }

    def _model(self, problem: Problem) -> Any:  # noqa: ANN401 - an RNN's state is of another type
        model = problems.model(problem.case, self._isa)
        model.load_state_dict(problem.weights)
        return model

    def prepare(self, problem: Problem) -> Run:
        """Pack the weights."""
        no_graphs(problem)
        x, dy, work = problem.x, problem.dy, problem.case.work
        cuts = {"lengths": problem.lengths, "reset": problem.reset}
        told: dict[str, Any] = {name: array for name, array in cuts.items() if array is not None}
        model = self._model(problem)

        if work == "train" and problem.case.stepwise:
            return own_steps.training(model, problem)
        if work == "train":
            if problem.case.recompute:
                told["recompute"] = True

            def train() -> Any:  # noqa: ANN401 - as lstmfast returns it
                y, _, tape = model.forward(x, **told)
                return y, model.backward(tape, dy)

            _, _, tape = model.forward(x, **told)
            return Run(train, _gradients, tape_bytes=tape.nbytes)

        if work == "step":
            return _step(model, x[0]) if problem.case.directions == 1 else _call(model, x)
        if work == "pool":
            return _pool(model, problem)

        if not told:  # as users write it, and without a keyword the call is shorter
            return Run(lambda: model(x), _states)
        return Run(lambda: model(x, **told), _states)


class _Quantized(Ours):
    """The same model after `quantize`, called in the same way; for inference alone."""

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        return {**super().settings(), "quantisation": f"quantize({self.precision!r})"}

    def prepare(self, problem: Problem) -> Run:
        """Quantise the weights and pack them."""
        if problem.case.work == "train":
            raise UnsupportedError("inference only")
        return super().prepare(problem)

    def _model(self, problem: Problem) -> Any:  # noqa: ANN401
        return super()._model(problem).quantize(self.precision)


class Float16(_Quantized):
    """Weights in float16, arithmetic in float32."""

    name = QUANTIZED[0]
    precision = "float16"


class Bfloat16(_Quantized):
    """Weights in bfloat16, arithmetic in float32."""

    name = QUANTIZED[1]
    precision = "bfloat16"


class Int8(_Quantized):
    """Weights in int8, activations quantised as they come, which needs no calibration."""

    name = QUANTIZED[2]
    precision = "int8"


def _step(model: Any, x: Array) -> Run:  # noqa: ANN401 - of any kind
    stream = model.stream(len(x))
    y = np.empty((len(x), model.hidden_size), np.float32)

    def results(y: Array) -> Results:
        return named(y[np.newaxis], *_halves(stream.state))

    return Run(lambda: stream.step(x, out=y), results)


def _call(model: Any, x: Array) -> Run:  # noqa: ANN401 - of any kind
    """Step with both directions, which no stream has."""
    y, state = model(x)
    for array in _halves(state):
        array[...] = 0
    out = (y, state)
    return Run(lambda: model(x, state, out=out), _states)


def _pool(model: Any, problem: Problem) -> Run:  # noqa: ANN401 - of any kind
    """Twice as many streams as are stepped, which lie anywhere among them."""
    rows = problem.case.B
    pool = model.stream_pool(2 * rows)
    ids = np.random.default_rng(0).permutation([pool.open() for _ in range(2 * rows)])[:rows]
    y = np.empty((rows, model.hidden_size), np.float32)
    calls = itertools.cycle([(ids[order], x[0], order) for order, x in turns(problem)])

    def step() -> Any:  # noqa: ANN401
        now, x, order = next(calls)
        return pool.step(now, x, out=y), order

    def results(returned: Any) -> Results:  # noqa: ANN401
        y, order = returned
        return named(in_order(y[np.newaxis], order), *_halves(pool.state(ids)))

    return Run(step, results)


def _halves(state: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """Return h and, for an LSTM, c."""
    return state if isinstance(state, tuple) else (state,)


def _states(returned: Any) -> Results:  # noqa: ANN401
    y, state = returned
    return named(y, *_halves(state))


def _gradients(returned: Any) -> Results:  # noqa: ANN401
    y, grads = returned
    return {"y": y, "dx": grads.x, **{f"d {name}": array for name, array in grads.parameters.items()}}
