"""Another revision of lstmfast, in a process of a Python that has it: run as a file, asked by `revisions`.

Nothing of this revision is imported here but `clock`, which lies beside this file: `import lstmfast` finds
the other one. So models are made and called only in ways that the first version's users knew, or a revision
that lacks a thing says so. This revision is measured by the same lines.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

Results: TypeAlias = Mapping[str, Any]


class LackingError(Exception):
    """The revision has no such thing; the text says what."""


@dataclass
class Run:
    """A case as this revision runs it."""

    call: Callable[[], Any]
    results: Callable[[Any], Results]
    context: Callable[[], AbstractContextManager[object]] = nullcontext


def work() -> None:
    """Answer questions until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a revision prints goes to standard error
    questions = sys.stdin.buffer
    told = pickle.load(questions)
    if told["path"]:  # a revision that no Python has installed
        sys.path[:] = told["path"]
    host: _Host | None = None
    while True:
        try:
            name, *arguments = pickle.load(questions)
        except EOFError:
            return
        try:
            host = host or _Host(told["threads"])
            answer = ("", getattr(host, name)(*arguments))
        except LackingError as reason:
            answer = ("unsupported", str(reason))
        except Exception as error:  # a revision may raise anything
            answer = ("failed", f"{type(error).__name__}: {error}")
        pickle.dump(answer, answers)
        answers.flush()


class _Host:
    def __init__(self, threads: int) -> None:
        import lstmfast

        self._lstmfast: Any = lstmfast
        self._threads = threads
        self._clock: Any = _beside("clock")
        self._run: Run | None = None
        lstmfast.set_num_threads(threads)

    def version(self) -> str:
        return f"{self._lstmfast.__version__} ({self._lstmfast.isa()})"

    def prepare(self, task: Mapping[str, Any]) -> None:
        self._run = None
        gc.enable()
        gc.collect()
        self._run = _run(_model(self._lstmfast, task), task)
        gc.disable()  # as in `timing`

    def estimate(self, share: float, seconds: float) -> float:
        found: float = self._timed(self._clock.estimate, share, seconds)
        return found

    def take_round(self, calls: int, warm: bool) -> tuple[float, float]:
        found: tuple[float, float] = self._timed(self._clock.take_round, calls, warm)
        return found

    def results(self, calls: int) -> Results:
        assert self._run is not None
        for _ in range(calls):
            returned = self._run.call()
        return {name: np.array(array) for name, array in self._run.results(returned).items()}

    def _timed(self, function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - as it returns
        assert self._run is not None
        found = function(self._run, *arguments)
        if self._threads > 1:
            self._clock.rest()
        return found


def _beside(name: str) -> ModuleType:
    """Load the module of that name beside this file, whatever `lstmfast` is here."""
    spec = importlib.util.spec_from_file_location(f"_peer_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _model(lstmfast: Any, task: Mapping[str, Any]) -> Any:  # noqa: ANN401 - of a revision that nobody knows
    kind = getattr(lstmfast, task["kind"], None)
    if kind is None:
        raise LackingError(f"it has no {task['kind']}")
    model = kind(*task["sizes"], bidirectional=task["bidirectional"])
    model.load_state_dict(task["weights"])
    if task["precision"] == "float32":
        return model
    if not hasattr(model, "quantize"):
        raise LackingError("it has no smaller weights")
    return model.quantize(task["precision"])


def _run(model: Any, task: Mapping[str, Any]) -> Run:  # noqa: ANN401
    x, dy = _usual(task["x"]), _usual(task["dy"])
    if task["work"] == "train":

        def train() -> Any:  # noqa: ANN401
            y, _, tape = model.forward(x)
            return y, model.backward(tape, dy)

        return Run(train, _gradients)
    if task["work"] == "step":
        if not hasattr(model, "stream"):
            raise LackingError("it has no streams")
        stream, x = model.stream(x.shape[1]), x[0]
        y = np.empty((len(x), model.hidden_size), np.float32)
        return Run(
            lambda: stream.step(x, out=y), lambda y: {"y": y[np.newaxis], **_named_state(stream.state)}
        )
    return Run(lambda: model(x), lambda returned: {"y": returned[0], **_named_state(returned[1])})


def _usual(array: Any) -> Any:  # noqa: ANN401
    """Copy an array out of a pickle, whose dtype is an object of its own, which brief calls do not know."""
    made = np.empty(array.shape, np.float32)
    made[...] = array
    return made


def _gradients(returned: Any) -> Results:  # noqa: ANN401
    y, grads = returned
    return {"y": y, "dx": grads.x, **{f"d {name}": array for name, array in grads.parameters.items()}}


def _named_state(state: Any) -> Results:  # noqa: ANN401
    halves = state if isinstance(state, tuple) else (state,)
    return dict(zip(("h_n", "c_n"), halves, strict=False))


if __name__ == "__main__":
    work()
