"""Revisions side by side: `python -m lstmfast._bench.compare NAME=PYTHON...`; `nox -s compare` builds them.

Each revision is a process of a Python that has it installed, this one is there twice. Rounds are interleaved,
as `timing` does it with engines, and all of that is done several times with new processes, in another order:
where a process has its memory changes its times by some percent, and stays as long as it lives.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from .._files import writing
from . import apart, machine, problem, timing
from .asked import AskedError
from .comparison import SHAPES, THIS, TWIN, Comparison, Limits, Row, Shape
from .engines import Run, UnsupportedError
from .revisions import Revision

__all__ = ["main", "measure"]

LAUNCHES = 3
SECONDS = 0.3  # for each revision in each row and launch
SLOWER, UNDECIDED = 1, 3  # how the process ends; 2 is a mistake in what was asked for

Made = Callable[[], Revision]


def measure(
    makers: Mapping[str, Made],
    shapes: Sequence[Shape] = SHAPES,
    *,
    launches: int = LAUNCHES,
    seconds: float = SECONDS,
    threads: int = 1,
    tell: Callable[[str], None] = lambda doing: None,
) -> Comparison:
    """Time revisions turn about.

    Parameters
    ----------
    makers : mapping
        By name: earlier revisions, the earliest first, and `THIS` and `TWIN`.
    shapes : sequence of Shape
        Rows, in their order.
    launches : int
        How often everything is done, with processes of its own.
    seconds : float
        For each revision in each row and launch.
    threads : int
        Of every revision.
    tell : callable
        Told what comes now.

    Returns
    -------
    Comparison
        With what went wrong in `failures`.
    """
    names = list(makers)
    result = Comparison([name for name in names if name not in {THIS, TWIN}])
    result.rows = [Row(shape) for shape in shapes]
    tasks: dict[Shape, problem.Problem] = {}
    for launch in range(launches):
        turn = names[launch % len(names) :] + names[: launch % len(names)]
        with ExitStack() as stack:
            revisions = {name: makers[name]() for name in turn}
            for revision in revisions.values():
                stack.callback(revision.close)
            if launch == 0:
                result.versions = {name: revisions[name].version() for name in names}
            for row in result.rows:
                tell(f"launch {launch + 1} of {launches}: {row.shape.label}")
                if row.shape not in tasks:
                    tasks[row.shape] = problem.make(row.shape.case)
                _row(row, tasks[row.shape], revisions, result, seconds, threads)
    return result


def _row(
    row: Row,
    task: problem.Problem,
    revisions: Mapping[str, Revision],
    result: Comparison,
    seconds: float,
    threads: int,
) -> None:
    """Check and time one shape in one launch."""

    def failed(name: str, error: Exception) -> None:
        row.notes[name] = "failed"
        result.failures.append(f"{name} at {row.shape.label}: {error}")

    runs: dict[str, Run] = {}
    found: dict[str, problem.Results] = {}
    for name, revision in revisions.items():
        if name in row.notes:
            continue
        try:
            run = revision.prepare(task, row.shape.precision)
            found[name] = run.do(apart.results, problem.STEPS if task.case.goes_on else 1)
            difference = problem.difference(found[name], task.truth)
        except UnsupportedError as reason:
            row.notes[name] = str(reason)
        except (AskedError, ValueError) as error:
            failed(name, error)
        else:
            if not difference <= problem.TOLERANCES[row.shape.precision]:  # true of NaN
                failed(name, ValueError(f"off by {difference:.1e} of the reference's largest value"))
                continue
            runs[name] = run
    for name in found:
        if THIS in found:
            row.same_bits[name] = _same_bits(found[name], found[THIS]) and row.same_bits.get(name, True)
    for name, timed in timing.measure(runs, seconds, threads=threads, failed=failed).items():
        row.best.setdefault(name, []).append(min(timed.seconds))


def _same_bits(one: problem.Results, other: problem.Results) -> bool:
    return set(one) == set(other) and all(
        np.asarray(one[name]).tobytes() == np.asarray(other[name]).tobytes() for name in one
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and return 0, or `SLOWER` or `UNDECIDED`."""
    limits = Limits()
    parser = argparse.ArgumentParser(prog="compare", description="Time this revision beside earlier ones.")
    parser.add_argument(
        "revisions", nargs="+", metavar="NAME=PYTHON", type=_named_python, help="the earliest first"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--launches", type=int, default=LAUNCHES)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each in each row and launch")
    parser.add_argument("--only", default="", help="rows whose label has this in it")
    parser.add_argument("--row-limit", type=float, default=limits.row, help="slower by this part at most")
    parser.add_argument("--mean-limit", type=float, default=limits.mean, help="the same of all rows together")
    parser.add_argument("--json", type=Path, help="write everything there")
    parser.add_argument("--plot", type=Path, help="draw it by revision: .png, .svg or .pdf")
    told = parser.parse_args(arguments)
    shapes = [shape for shape in SHAPES if told.only in shape.label]
    if not shapes:
        parser.error(f"--only: no row has {told.only!r} in it")
    if told.threads < 1 or told.launches < 1 or not told.seconds > 0:
        parser.error("--threads and --launches: expected 1 or more; --seconds: more than 0")
    for path in filter(None, (told.json, told.plot)):
        try:
            writing.check(path)
        except (OSError, ValueError) as error:  # ValueError: a null character in the name
            parser.error(f"{path} cannot be written: {error}")
    limits = Limits(told.row_limit, told.mean_limit)

    def maker(name: str, python: str, path: Sequence[str] = ()) -> Made:
        return lambda: Revision(name, python, told.threads, path)

    makers = {name: maker(name, python) for name, python in told.revisions}
    # This very package, wherever it has come from.
    makers |= {name: maker(name, sys.executable, sys.path) for name in (THIS, TWIN)}
    described = machine.describe()
    result = measure(
        makers,
        shapes,
        launches=told.launches,
        seconds=told.seconds,
        threads=told.threads,
        tell=lambda doing: print(doing, file=sys.stderr, flush=True),
    )
    result.machine = described
    result.settings = {"threads": told.threads, "launches": told.launches, "seconds": told.seconds}
    _tell(result)
    if told.json:
        writing.write(told.json, json.dumps(result.to_json(), indent=1).encode())
    if told.plot:
        from . import pictures  # needs matplotlib

        writing.write(told.plot, pictures.by_revision(result, told.plot.suffix[1:]))
    return judge(result, limits)


def _named_python(text: str) -> tuple[str, str]:
    name, equals, python = text.partition("=")
    if not (name and equals and python) or name in {THIS, TWIN}:
        raise argparse.ArgumentTypeError(f"expected NAME=PYTHON, got {text!r}")
    return name, python


def _tell(result: Comparison) -> None:
    for name, version in result.versions.items():
        print(f"{name}: {version}")
    load = result.machine["load"]
    print(f"{result.machine['CPU']}, {result.settings['threads']} thread(s), load at the start {load}\n")
    print("\n".join(result.table()))
    print(
        "\nthis revision's time / the other's: geometric mean over launches (least to most);"
        " noise: how far this revision was apart from itself"
    )


def judge(result: Comparison, limits: Limits) -> int:
    """Say whether this revision is slower, and return how the process is to end."""
    slower = result.slower(limits)
    failures = list(result.failures)
    if math.isfinite(result.noise):
        failures += [f"{name}: no row" for name in result.revisions if math.isnan(result.mean(name))]
    for failure in failures:
        print(f"FAILED: {failure}")
    if failures:
        return SLOWER
    if result.too_noisy(limits):
        print(f"UNDECIDED: this revision is apart from itself by {result.noise:.1%}: a busy machine")
        return UNDECIDED
    for where in slower:
        print(f"SLOWER: {where}")
    if slower:
        return SLOWER
    print(f"not slower: by at most {limits.row:.0%} in a row and {limits.mean:.0%} in all, beyond the noise")
    return 0


if __name__ == "__main__":
    sys.exit(main())
