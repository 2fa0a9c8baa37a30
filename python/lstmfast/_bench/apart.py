"""Engines in processes of their own: asked for the same things as all others, over pipes.

An engine whose class has `apart` lives so. What it brings along, other libraries of the same names or another
OpenMP, meets nobody else's; two that want another value of one variable (Keras's backend) can both be
measured; and one that ends its process has failed in one row, and the run goes on.

Its calls are made and timed over there, by the functions that do so here: nothing of the way between the
processes is in any time. Turns are taken as among all engines.
"""

from __future__ import annotations

import gc
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from . import engines, processes, timing
from .asked import Asked, send
from .asked import AskedError as ApartError
from .engines import Engine, Run, UnsupportedError
from .problem import Problem

__all__ = ["Apart", "ApartError", "load"]


def load(spec: str, threads: int, isa: str | None) -> Engine:
    """Make the engine that "module:class" names; where it has `apart`, in a process of its own."""
    engine = engines.load(spec, threads, isa)
    variables: Mapping[str, str] | None = getattr(engine, "apart", None)
    return engine if variables is None else Apart(engine, (spec, threads, isa, dict(variables)))


class Apart(Asked):
    """An engine seen from here."""

    def __init__(self, engine: Engine, asked: tuple[str, int, str | None, dict[str, str]]) -> None:
        """Take the engine's name and precision from here, and what its process is to be told."""
        super().__init__(processes.command(__name__), asked)
        self.name = engine.name
        self.precision = engine.precision
        self._variables = asked[-1]

    def missing(self) -> str | None:
        """Start the process, and have it import the engine."""
        try:
            reason: str | None = self._ask("missing")
        except ApartError as error:
            return str(error)
        return reason

    def version(self) -> str:
        """Return its version."""
        return str(self._ask("version"))

    def settings(self) -> dict[str, str]:
        """Return what it was told, variables of its process among it."""
        own = " ".join(["its own", *(f"{name}={value}" for name, value in self._variables.items())])
        return {**self._ask("settings"), "process": own}

    def prepare(self, problem: Problem) -> Run:
        """Have the model built over there."""
        if not self._is_running and (reason := self.missing()):
            raise ApartError(reason)
        # The truth stays here, where results are judged.
        tape_bytes = self._ask("prepare", replace(problem, truth={}))
        return Run(_elsewhere, _elsewhere, away=self._away, tape_bytes=tape_bytes)

    def _away(self, function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - as it returns
        return self._ask("do", function, *arguments)


def _elsewhere(*_: object) -> NoReturn:
    raise TypeError("this run is in another process: use Run.do")


# The other side --------------------------------------------------------------------------------------


def work() -> None:
    """Be an engine's own process: questions on standard input, answers on what was standard output."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what engines print goes to standard error
    questions = sys.stdin.buffer
    spec, threads, isa, variables = pickle.load(questions)
    os.environ.update(variables)
    host = _Host(engines.load(spec, threads, isa), threads)
    while True:
        try:
            name, *arguments = pickle.load(questions)
        except EOFError:
            return
        send(_answer(getattr(host, name), arguments), answers)


def _answer(method: Callable[..., object], arguments: list[object]) -> tuple[str, object]:
    try:
        return "", method(*arguments)
    except UnsupportedError as reason:
        return "unsupported", str(reason)
    except Exception as error:  # an engine may raise anything
        return "failed", f"{type(error).__name__}: {error}"


class _Host:
    """The engine, and its latest run."""

    def __init__(self, engine: Engine, threads: int) -> None:
        self._threads = threads
        self._run: Run | None = None
        self.missing, self.version, self.settings = engine.missing, engine.version, engine.settings
        self._prepare = engine.prepare

    def prepare(self, problem: Problem) -> int | None:
        """Build the model in place of the one before, which is forgotten first."""
        self._run = None
        gc.enable()
        gc.collect()
        self._run = self._prepare(problem)
        gc.disable()  # as in `timing`
        return self._run.tape_bytes

    def do(self, function: Callable[..., object], *arguments: object) -> object:
        """Compute a function of the run, and answer when the engine's threads are asleep."""
        assert self._run is not None
        found = function(self._run, *arguments)
        if self._threads > 1:
            timing.rest()
        return found


def results(run: Run, calls: int) -> dict[str, np.ndarray[Any, Any]]:
    """Make so many calls, and return the results of the last."""
    returned = None
    with run.context():
        for _ in range(calls):
            returned = run.call()
        return {name: np.asarray(array) for name, array in run.results(returned).items()}
