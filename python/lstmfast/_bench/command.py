"""One run of `lstmfast bench`: measure, tell, keep."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from . import session, table
from .cases import Case
from .engines import ENGINES
from .outputs import Outputs
from .results import Report
from .worker import Request

__all__ = ["LATENCIES", "QUICK_DEADLINE", "SECONDS", "BenchError", "run"]

SECONDS = 0.3  # for each engine in each row
LATENCIES = 10.0  # times as long for the latencies of single steps: 100,000 of up to 30 us each
QUICK_DEADLINE = 95.0  # of a quick run, which then has time to draw before its two minutes are over


class BenchError(Exception):
    """The run did not go as it should have; the text is one line that says what, and what is kept."""


def run(
    cases: Sequence[Case],
    *,
    engines: Mapping[str, str] = ENGINES,
    threads: int = 1,
    isa: str | None = None,
    seconds: float = SECONDS,
    deadline: float | None = None,
    latency_seconds: float = 0.0,
    outputs: Outputs | None = None,
) -> Report:
    """Measure in a process of its own, print the tables, write the outputs.

    Parameters
    ----------
    cases : sequence of Case
        Rows, in their order.
    engines : mapping
        Name to "module:class"; lstmfast must be among them.
    threads : int
        Of every engine.
    isa : str, optional
        What lstmfast runs on, and what all others are held to as far as they can be.
    seconds : float
        For each engine in each row.
    deadline : float, optional
        Seconds for the whole run; rows get shorter when it comes near.
    latency_seconds : float
        For each engine in each row of single steps, to time each by itself; 0 leaves that out.
    outputs : Outputs, optional
        What to write beside the tables; checked already.

    Raises
    ------
    BenchError
        If an engine failed or was wrong somewhere, the measuring process died, or an output could not be
        written. Whatever was measured has been printed, and written where it could be.
    KeyboardInterrupt
        Likewise, after Ctrl-C.
    """
    outputs = outputs or Outputs()
    request = Request(cases, engines, threads, isa, seconds, deadline, latency_seconds=latency_seconds)
    report = Report(
        settings={
            "command": sys.argv,
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            **{name: value for name, value in asdict(request).items() if name not in {"cases", "engines"}},
        },
        planned=list(cases),
    )
    interrupted = _measure(request, report)

    console = table.Terminal()
    if report.rows:
        console.print_report(report)
    unwritten = outputs.write(report)
    kept = f"{len(report.rows)} of {len(cases)} rows were measured"
    if outputs and report.rows:
        kept += f" and are kept in {outputs}" if not unwritten else f", but {'; '.join(unwritten)}"
    if interrupted:
        print(f"lstmfast: interrupted; {kept}", file=sys.stderr)
        raise KeyboardInterrupt
    if report.trouble:
        raise BenchError(f"{report.trouble}; {kept}; to leave engines out: --engines")
    if report.failures:
        raise BenchError(f"{_what_failed(report)}; {kept}")
    if unwritten:
        raise BenchError("; ".join(unwritten))
    if outputs:
        console.print(f"Written: {outputs}", soft_wrap=True)
    return report


def _what_failed(report: Report) -> str:
    """Say how many results are wrong or missing, and the first of them."""
    first, wrong = report.failures[0], len(report.wrong)
    missing = len(report.failures) - wrong
    if own := len(report.own_wrong):
        return f"lstmfast itself is wrong in {own} of its results, the first: {first}"
    if wrong and missing:
        return f"{wrong} of the results are wrong and {missing} missing, the first: {first}"
    return f"{wrong or missing} of the results are {'wrong' if wrong else 'missing'}, the first: {first}"


def _measure(request: Request, report: Report) -> bool:
    """Fill the report until the end, or until something ends it early; return whether that was Ctrl-C."""
    at: dict[str, Any] = {}
    with table.progress(len(request.cases)) as show:
        try:
            with contextlib.closing(session.events(request)) as events:
                for event in events:
                    report.take(event)
                    if event["event"] == "at":
                        at = event
                        show(len(report.rows), _where(at, request.cases))
            show(len(report.rows), "done")
        except session.WorkerError as death:
            report.trouble = f"the measuring process ended early ({_where(at, request.cases)}): {death}"
        except KeyboardInterrupt:
            report.trouble = "interrupted"
            return True
    return False


def _where(at: Mapping[str, Any], cases: Sequence[Case]) -> str:
    """Say what the measuring process is at."""
    doing: str = at.get("doing", "starting")
    if "row" not in at:
        return doing
    case = cases[at["row"]]
    return f"{case.suite} {case.label}: {doing}"
