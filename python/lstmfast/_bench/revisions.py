"""Revisions of lstmfast, each in a Python of its own, as the benchmark's rounds have engines."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import apart, clock, environment
from .asked import Asked
from .engines import Run
from .problem import Problem

__all__ = ["Revision"]

_PEER = Path(__file__).with_name("peer.py")
# What rounds ask for, by its name over there.
_QUESTIONS: dict[Callable[..., Any], str] = {
    clock.estimate: "estimate",
    clock.take_round: "take_round",
    apart.results: "results",
}


class Revision(Asked):
    """The lstmfast that a Python has installed, or finds on a path that is given."""

    def __init__(self, name: str, python: str, threads: int, path: Sequence[str] = ()) -> None:
        """Take its name, and where it is; nothing is started yet."""
        variables = {**os.environ, **environment.variables(threads, None, os.environ)}
        # With what it has installed alone: where it is started and PYTHONPATH do not say what `lstmfast` is.
        super().__init__(
            [python, "-I", str(_PEER)], {"threads": threads, "path": list(path)}, environment=variables
        )
        self.name = name

    def version(self) -> str:
        """Return what it says of itself: version and instruction set."""
        return str(self._ask("version"))

    def prepare(self, problem: Problem, precision: str = "float32") -> Run:
        """Have the model built over there, its weights of that type.

        Raises
        ------
        UnsupportedError
            If the revision has no such thing.
        AskedError
            If it fails.
        """
        case = problem.case
        task = {
            "kind": case.kind.name,
            "sizes": (case.I, case.H, case.layers),
            "bidirectional": case.directions == 2,
            "weights": dict(problem.weights),
            "precision": precision,
            "work": case.work,
            "x": problem.x,
            "dy": problem.dy,
        }
        self._ask("prepare", task)
        return Run(_elsewhere, _elsewhere, away=self._away)

    def _away(self, function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - as it returns
        return self._ask(_QUESTIONS[function], *arguments)


def _elsewhere(*_: object) -> NoReturn:
    raise TypeError("this run is in another process: use Run.do")
