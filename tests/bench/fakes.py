"""Engines for the tests of `lstmfast bench`, most of them bad in a way of their own."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from lstmfast._bench.engines import Run, UnsupportedError
from lstmfast._bench.problem import Array, Problem, Results
from lstmfast.reference import Reference


class Good:
    """The reference in float32, as an engine of another name."""

    name = "good"
    precision = "float32"

    def __init__(self, threads: int, isa: str | None) -> None:
        self.told = {"threads": str(threads), "isa": str(isa)}

    def missing(self) -> str | None:
        return None

    def version(self) -> str:
        return "1.0"

    def settings(self) -> dict[str, str]:
        return self.told

    def prepare(self, problem: Problem) -> Run:
        case = problem.case
        weights = self.weights(problem)
        reference = Reference("lstm", weights, case.layers, case.directions == 2, np.float32)
        state: list[Any] = [None, None]

        def call() -> Any:
            y, (h, c), cache = reference.forward(problem.x, *state)
            if case.work == "step":
                state[:] = self.carry(h), self.carry(c)
            return (y, h, c), reference.backward(cache, problem.dy) if case.work == "train" else None

        def results(returned: Any) -> Results:
            (y, h, c), gradients = returned
            if gradients is None:
                return {"y": y, "h_n": h, "c_n": c}
            dx, _, _, dparameters = gradients
            return {"y": y, "dx": dx, **{f"d {name}": array for name, array in dparameters.items()}}

        return self.spoil(Run(call, results))

    def weights(self, problem: Problem) -> Mapping[str, Array]:
        return problem.weights

    def carry(self, state: Any) -> Any:
        return state

    def spoil(self, run: Run) -> Run:
        return run


class Forgetful(Good):
    """Every step begins at zero."""

    name = "forgetful"

    def carry(self, state: Any) -> Any:
        return None


class Wrong(Good):
    """A little off, but more than float32 rounding."""

    name = "wrong"

    def spoil(self, run: Run) -> Run:
        return Run(run.call, lambda returned: {name: a + 0.001 for name, a in run.results(returned).items()})


class Hoarder(Good):
    """Right once: what a call has left behind is where the next one begins."""

    name = "hoarder"

    def prepare(self, problem: Problem) -> Run:
        run = super().prepare(problem)
        calls = 0

        def call() -> Any:
            nonlocal calls
            calls += 1
            return calls, run.call()

        def results(returned: Any) -> Results:
            number, inner = returned
            return {name: array + 0.01 * (number - 1) for name, array in run.results(inner).items()}

        return Run(call, results)


class WrongInt8(Wrong):
    """As far off as int8 may be, and it says so."""

    name = "int8"
    precision = "int8"


class Float16(Good):
    """Weights and biases as float16 has them."""

    name = "float16"
    precision = "float16"

    def weights(self, problem: Problem) -> Mapping[str, Array]:
        return {name: array.astype(np.float16).astype(np.float32) for name, array in problem.weights.items()}


class SwappedFloat16(Float16):
    """The same with the gates i and f exchanged."""

    name = "swapped float16"

    def weights(self, problem: Problem) -> Mapping[str, Array]:
        parts = {name: np.split(array, 4) for name, array in super().weights(problem).items()}
        return {name: np.concatenate([f, i, g, o]) for name, (i, f, g, o) in parts.items()}


class NotANumber(Good):
    name = "nan"

    def spoil(self, run: Run) -> Run:
        return Run(run.call, lambda returned: {name: a * np.nan for name, a in run.results(returned).items()})


class Misshapen(Good):
    name = "misshapen"

    def spoil(self, run: Run) -> Run:
        return Run(run.call, lambda returned: {name: a[..., :1] for name, a in run.results(returned).items()})


class Silent(Good):
    """Keeps c to itself."""

    name = "silent"

    def spoil(self, run: Run) -> Run:
        return Run(run.call, lambda returned: {"y": run.results(returned)["y"]})


class Missing(Good):
    name = "missing"

    def missing(self) -> str | None:
        return "nothing is not installed"


class NeverTrains(Good):
    name = "never trains"

    def prepare(self, problem: Problem) -> Run:
        if problem.case.work == "train":
            raise UnsupportedError("inference only")
        return super().prepare(problem)


class CannotPrepare(Good):
    name = "cannot prepare"

    def prepare(self, problem: Problem) -> Run:
        raise RuntimeError("no kernel\nfor this")


class FailsLate(Good):
    """Passes the check, and fails when it is timed for the fifteenth time."""

    name = "fails late"

    def spoil(self, run: Run) -> Run:
        calls = 0

        def call() -> Any:
            nonlocal calls
            calls += 1
            if calls == 15:
                raise RuntimeError("out of luck")
            return run.call()

        return Run(call, run.results)


class Noisy(Good):
    """Prints where the events go, and where warnings go."""

    name = "noisy"

    def prepare(self, problem: Problem) -> Run:
        print("{}")
        os.write(1, b"not an event\n")
        print("a warning", file=sys.stderr)
        return super().prepare(problem)


class Crashes(Good):
    """Takes the process with it in every row of more than one time step."""

    name = "crashes"

    def prepare(self, problem: Problem) -> Run:
        if problem.case.T > 1:
            print("these are my last words", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().prepare(problem)


class Hangs(Good):
    """Never ends in any row of more than one time step."""

    name = "hangs"

    def prepare(self, problem: Problem) -> Run:
        if problem.case.T > 1:
            time.sleep(600)
        return super().prepare(problem)


# In processes of their own ---------------------------------------------------------------------------


class Elsewhere(Good):
    """Tells what it finds where it is."""

    name = "elsewhere"
    apart: Mapping[str, str] = {"FAKE_BACKEND": "first"}

    def settings(self) -> dict[str, str]:
        return {**super().settings(), "pid": str(os.getpid()), "backend": os.environ["FAKE_BACKEND"]}


class ElsewhereToo(Elsewhere):
    apart: Mapping[str, str] = {"FAKE_BACKEND": "second"}


class WrongElsewhere(Wrong):
    apart: Mapping[str, str] = {}


class NeverTrainsElsewhere(NeverTrains):
    apart: Mapping[str, str] = {}


class CannotPrepareElsewhere(CannotPrepare):
    apart: Mapping[str, str] = {}


class FailsLateElsewhere(FailsLate):
    apart: Mapping[str, str] = {}


class NoisyElsewhere(Noisy):
    apart: Mapping[str, str] = {}


class MissingElsewhere(Missing):
    apart: Mapping[str, str] = {}


class CrashesElsewhere(Crashes):
    """Takes its own process with it, and nobody else's."""

    apart: Mapping[str, str] = {}


class CannotBeImported(Good):
    """Ends its process when it is imported."""

    name = "cannot be imported"
    apart: Mapping[str, str] = {}

    def missing(self) -> str | None:
        print("no such instruction", file=sys.stderr, flush=True)
        os._exit(3)


# Sessions --------------------------------------------------------------------------------------------


class MakesSessions(Good):
    """Those of a model have 8 MiB, and leave as much behind."""

    name = "makes sessions"
    mebibytes = 8

    def session(self, path: str) -> Any:
        large = path.endswith("model.onnx")
        return Session(self.mebibytes << 20 if large else 8)


class MakesLargeSessions(MakesSessions):
    mebibytes = 16


class Session:
    def __init__(self, size: int) -> None:
        self.size = size
        self.kept: Any = None

    def run(self, names: None, feed: Mapping[str, Array]) -> None:
        assert list(feed) == ["x"]
        self.kept = np.ones(self.size, np.uint8)
