"""The measuring process: a request on standard input, events on standard output, a line of JSON each.

It draws nothing and writes no files. What engines print goes to standard error: no event is ever cut in two.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import lstmfast

from . import apart, latency, machine, memory, probes, problem, timing
from .cases import Case
from .engines import Engine, Run, UnsupportedError

__all__ = ["Request", "measure", "work"]

Event: TypeAlias = dict[str, Any]

# Of the time that is left, the part that checks and compilations may take; the least that is measured at all.
OVERHEAD = 0.5
LEAST_SECONDS = 0.02
# Calls that begin anew are looked at so often: the second shows what the first has left behind.
LOOKS = 2


@dataclass(frozen=True)
class Request:
    """What to measure."""

    cases: Sequence[Case]
    engines: Mapping[str, str]  # name to "module:class"
    threads: int
    isa: str | None  # what all are held to, as far as they can be
    seconds: float  # for each engine in each row
    deadline: float | None = None  # for the whole run; rows get shorter when it comes near
    probe_seconds: float = probes.SECONDS
    latency_seconds: float = 0.0  # for each engine in each row of steps, to time single ones

    def to_json(self) -> str:
        """Write it on one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Request:
        """Read what `to_json` has written."""
        values = json.loads(text)
        return cls(**{**values, "cases": [Case(**case) for case in values["cases"]]})


def work() -> None:
    """Be the measuring process."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for event in measure(Request.from_json(sys.stdin.read())):
        events.write(json.dumps(event) + "\n")
        events.flush()


def measure(request: Request, clock: Callable[[], float] = time.monotonic) -> Iterator[Event]:
    """Measure, and yield what comes out, what it is "at" in between, and "end"."""
    begin = clock()
    lstmfast.set_num_threads(request.threads)
    isa = request.isa or lstmfast.isa()
    yield {"event": "machine", "machine": machine.describe(), "isa": isa}

    with contextlib.ExitStack() as stack:
        engines: dict[str, Engine] = {}
        for name, spec in request.engines.items():
            yield {"event": "at", "doing": f"loading {name}"}
            engine = apart.load(spec, request.threads, request.isa)
            missing = engine.missing()
            told: Event = {"name": name, "precision": engine.precision, "missing": missing}
            if missing is None:
                engines[name] = engine
                told |= {"version": engine.version(), "settings": engine.settings()}
            if isinstance(engine, apart.Apart):
                stack.callback(engine.close)
                if missing is not None:
                    engine.close()
            yield {"event": "engine", **told}

        yield {"event": "at", "doing": "measuring the machine's limits"}
        # Before and after, because the clock of a CPU changes; what it has reached once it can do.
        yield _limits(request, isa)
        for number, case in enumerate(request.cases):
            rows_left = len(request.cases) - number
            seconds = request.seconds
            if request.deadline is not None:
                left = (request.deadline - (clock() - begin)) * (1 - OVERHEAD)
                seconds = max(LEAST_SECONDS, min(seconds, left / rows_left / max(len(engines), 1)))
            yield from _row(number, case, engines, seconds, request)
        if any(case.suite == "onnx" for case in request.cases):
            yield {"event": "at", "doing": "measuring memory"}
            there = {name: spec for name, spec in request.engines.items() if name in engines}
            for growth in memory.measure(there, request.threads, request.isa):
                yield {"event": "memory", "growth": asdict(growth)}
        yield _limits(request, isa)
    yield {"event": "end"}


def _limits(request: Request, isa: str) -> Event:
    limits = probes.measure(isa, request.threads, seconds=request.probe_seconds)
    # JSON has no infinity: main memory has no capacity.
    levels = [
        {
            "name": level.name,
            "capacity": int(level.capacity) if level.name != "memory" else None,
            "gbps": level.gbps,
        }
        for level in limits.levels
    ]
    return {"event": "limits", "gflops": limits.gflops, "levels": levels}


def _row(
    number: int, case: Case, engines: Mapping[str, Engine], seconds: float, request: Request
) -> Iterator[Event]:
    """Check and time one case; every engine gets a cell, whatever becomes of it."""
    yield {"event": "at", "row": number, "doing": "reference"}
    runs: dict[str, Run] = {}
    cells: dict[str, dict[str, Any]] = {}
    task = problem.make(case)
    for name, engine in engines.items():
        yield {"event": "at", "row": number, "doing": name}
        try:
            run = engine.prepare(task)
            found = _differences(run, task)
        except UnsupportedError as reason:
            cells[name] = {"status": "unsupported", "note": str(reason)}
        except Exception as error:  # an engine may raise anything; the others go on
            cells[name] = _failed(error)
        else:
            cells[name] = _judged(found, problem.TOLERANCES[engine.precision])
            if cells[name]["status"] == "ok":
                runs[name] = run
                if run.tape_bytes is not None:
                    cells[name]["tape_bytes"] = run.tape_bytes
    yield {"event": "at", "row": number, "doing": "timing"}

    def failed(name: str, error: Exception) -> None:
        cells[name] = _failed(error)

    for name, timed in timing.measure(runs, seconds, threads=request.threads, failed=failed).items():
        cells[name] |= {
            "calls": timed.calls,
            "seconds": timed.seconds,
            "cpus": timed.cpu_seconds / max(timed.wall_seconds, 1e-9),
        }
    if case.work == "step" and request.latency_seconds > 0:
        yield {"event": "at", "row": number, "doing": "latencies"}
        timed_runs = {name: run for name, run in runs.items() if "calls" in cells[name]}
        waits = latency.measure(timed_runs, request.latency_seconds, threads=request.threads, failed=failed)
        for name, latencies in waits.items():
            cells[name]["latency"] = asdict(latencies)
    yield {"event": "row", "row": number, "cells": cells}


def _differences(run: Run, task: problem.Problem) -> list[float]:
    """Return how far results are from the truth, look by look."""
    # Calls that carry a state on have one truth, that of the last.
    looks = [problem.STEPS] if task.case.goes_on else [1] * LOOKS
    return [problem.difference(run.do(apart.results, calls), task.truth) for calls in looks]


def _judged(differences: Sequence[float], tolerance: float) -> dict[str, Any]:
    """Return the cell of an engine whose results differ so, in units of the truth's largest value."""
    bad = [k for k, difference in enumerate(differences) if not difference <= tolerance]  # true of NaN
    if not bad:
        return {"status": "ok", "difference": max(differences)}
    worst = differences[bad[0]]
    again = " when called again" if bad[0] else ""
    note = (
        f"differs from the reference by {worst:.1e} of its largest value{again}, "
        f"at most {tolerance:.0e} allowed"
    )
    # JSON has neither NaN nor infinity.
    return {"status": "wrong", "difference": worst if math.isfinite(worst) else None, "note": note}


def _failed(error: Exception) -> dict[str, Any]:
    """Put an exception into a cell, on one line."""
    text = str(error) if isinstance(error, apart.ApartError) else f"{type(error).__name__}: {error}"
    return {"status": "failed", "note": " ".join(text.split())[:500]}
