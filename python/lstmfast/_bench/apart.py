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
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import IO, Any, NoReturn

import numpy as np

from . import engines, processes, timing
from .engines import Engine, Run, UnsupportedError
from .problem import Problem

__all__ = ["Apart", "ApartError", "load"]


class ApartError(Exception):
    """What an engine's own process has raised, type and all, or how it ended."""


def load(spec: str, threads: int, isa: str | None) -> Engine:
    """Make the engine that "module:class" names; where it has `apart`, in a process of its own."""
    engine = engines.load(spec, threads, isa)
    variables: Mapping[str, str] | None = getattr(engine, "apart", None)
    return engine if variables is None else Apart(engine, (spec, threads, isa, dict(variables)))


class Apart:
    """An engine seen from here. Its process starts when it is first asked, and anew after it has ended."""

    def __init__(self, engine: Engine, asked: tuple[str, int, str | None, dict[str, str]]) -> None:
        """Take the engine's name and precision from here, and what its process is to be told."""
        self.name = engine.name
        self.precision = engine.precision
        self._asked = asked
        self._process: subprocess.Popen[bytes] | None = None
        self._words: IO[bytes] | None = None

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
        *_, variables = self._asked
        own = " ".join(["its own", *(f"{name}={value}" for name, value in variables.items())])
        return {**self._ask("settings"), "process": own}

    def prepare(self, problem: Problem) -> Run:
        """Have the model built over there."""
        if self._process is None and (reason := self.missing()):
            raise ApartError(reason)
        # The truth stays here, where results are judged.
        tape_bytes = self._ask("prepare", replace(problem, truth={}))
        return Run(_elsewhere, _elsewhere, away=self._away, tape_bytes=tape_bytes)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._end()

    def _away(self, function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - as it returns
        return self._ask("do", function, *arguments)

    def _ask(self, *question: object) -> Any:  # noqa: ANN401 - as the engine returns it
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            _send(question, self._process.stdin)
            kind, answer = pickle.load(self._process.stdout)
        except (BrokenPipeError, EOFError, pickle.UnpicklingError):
            raise ApartError(f"its process ended: {self._end()}") from None
        if kind == "unsupported":
            raise UnsupportedError(answer)
        if kind == "failed":
            raise ApartError(answer)
        return answer

    def _start(self) -> None:
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `_end`
        self._process = subprocess.Popen(
            processes.command(__name__),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
        )
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has died at once; how, the first question finds out
            _send(self._asked, self._process.stdin)

    def _end(self) -> str:
        """Forget the process, and say how it ended."""
        process, words = self._process, self._words
        assert process is not None
        assert words is not None
        self._process = self._words = None
        with words:
            code = process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(BrokenPipeError):  # what it was not told any more
                    if pipe is not None:
                        pipe.close()
            return processes.last_words(code, words.fileno())


def _elsewhere(*_: object) -> NoReturn:
    raise TypeError("this run is in another process: use Run.do")


def _send(what: object, pipe: IO[bytes]) -> None:
    pickle.dump(what, pipe)
    pipe.flush()


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
        _send(_answer(getattr(host, name), arguments), answers)


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
