"""Engines in processes of their own: the same answers, and an end that is theirs alone."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast._bench import apart, problem, session, timing, worker
from lstmfast._bench.cases import Case
from lstmfast._bench.engines import ENGINES, OURS, Run, UnsupportedError
from lstmfast._bench.worker import Request

from . import fakes

CASES = [Case(1, 1, 2, 3, work="step"), Case(3, 2, 2, 3), Case(3, 2, 2, 3, work="train")]
NAMES = ["Elsewhere", "ElsewhereToo", "WrongElsewhere", "NeverTrainsElsewhere", "CannotPrepareElsewhere"]
NAMES += ["FailsLateElsewhere", "NoisyElsewhere", "MissingElsewhere", "CrashesElsewhere", "CannotBeImported"]


def spec(name: str) -> str:
    return f"tests.bench.fakes:{name}"


@pytest.fixture(scope="module")
def events() -> Iterator[list[dict[str, Any]]]:
    before = lstmfast.get_num_threads()
    engines = {OURS: ENGINES[OURS], **{name: spec(name) for name in NAMES}}
    asked = Request(CASES, engines, 1, None, 0.002, probe_seconds=0.001, latency_seconds=0.002)
    yield list(worker.measure(asked))
    lstmfast.set_num_threads(before)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[apart.Apart]:
    """The fake of this name."""
    made = apart.load(spec(request.param), 1, None)
    assert isinstance(made, apart.Apart)
    yield made
    made.close()


def told(events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = (event for event in events if event["event"] == "engine" and event["name"] == name)
    return found


def cells(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event["cells"][name] for event in events if event["event"] == "row"]


def test_it_is_checked_and_timed_as_all_others(events: list[dict[str, Any]]) -> None:
    for name in ("Elsewhere", "NoisyElsewhere"):
        for cell in cells(events, name):
            assert cell["status"] == "ok"
            assert cell["difference"] < 1e-6
            assert len(cell["seconds"]) >= 3
            assert min(cell["seconds"]) > 0
            assert 0 <= cell["cpus"] < 1.5
        step, *others = cells(events, name)
        assert step["latency"]["calls"] >= 10
        assert not any("latency" in cell for cell in others)


def test_each_has_its_own_process_and_variables(events: list[dict[str, Any]]) -> None:
    first, second = (told(events, name)["settings"] for name in ("Elsewhere", "ElsewhereToo"))
    assert (first["backend"], second["backend"]) == ("first", "second")
    assert len({first["pid"], second["pid"], str(os.getpid())}) == 3
    assert first["process"] == "its own FAKE_BACKEND=first"
    assert "FAKE_BACKEND" not in os.environ
    assert told(events, "NoisyElsewhere")["settings"]["process"] == "its own"
    assert "process" not in told(events, OURS)["settings"]


@pytest.mark.parametrize(
    ("name", "row", "status", "note"),
    [
        ("WrongElsewhere", 1, "wrong", "differs from the reference by "),
        ("NeverTrainsElsewhere", 1, "ok", ""),
        ("NeverTrainsElsewhere", 2, "unsupported", "inference only"),
        ("CannotPrepareElsewhere", 0, "failed", "RuntimeError: no kernel for this"),
        ("FailsLateElsewhere", 1, "failed", "RuntimeError: out of luck"),
        ("CrashesElsewhere", 0, "ok", ""),
        ("CrashesElsewhere", 1, "failed", "its process ended: signal SIGKILL: these are my last words"),
        # It has been started again for the next row.
        ("CrashesElsewhere", 2, "failed", "its process ended: signal SIGKILL: these are my last words"),
    ],
)
def test_what_goes_wrong_there_is_told_here(
    name: str, row: int, status: str, note: str, events: list[dict[str, Any]]
) -> None:
    cell = cells(events, name)[row]
    assert cell["status"] == status
    assert cell.get("note", "").startswith(note)
    assert status == "wrong" or cell.get("note", "") == note
    assert events[-1] == {"event": "end"}


def test_who_is_missing_there_has_a_reason(events: list[dict[str, Any]]) -> None:
    assert told(events, "MissingElsewhere")["missing"] == "nothing is not installed"
    reason = told(events, "CannotBeImported")["missing"]
    assert reason == "its process ended: exit code 3: no such instruction"
    rows = [event["cells"] for event in events if event["event"] == "row"]
    assert not any({"MissingElsewhere", "CannotBeImported"} & set(row) for row in rows)


@pytest.mark.parametrize("engine", ["Elsewhere"], indirect=True)
def test_a_function_is_computed_there(engine: apart.Apart) -> None:
    assert engine.missing() is None
    task = problem.make(CASES[1])
    run = engine.prepare(task)
    found = run.do(apart.results, 1)
    assert problem.difference(found, task.truth) < 1e-6
    assert run.do(pid) == int(engine.settings()["pid"]) != os.getpid()
    with pytest.raises(TypeError, match=r"another process"):
        run.call()


def pid(run: Run) -> int:
    return os.getpid()


@pytest.mark.parametrize("engine", ["NeverTrainsElsewhere"], indirect=True)
def test_what_it_cannot_do_is_no_failure(engine: apart.Apart) -> None:
    with pytest.raises(UnsupportedError, match=r"^inference only$"):
        engine.prepare(problem.make(CASES[2]))


@pytest.mark.parametrize("engine", ["Elsewhere"], indirect=True)
def test_closing_ends_its_process_and_can_be_repeated(engine: apart.Apart) -> None:
    engine.close()  # it has none yet
    engine.missing()
    number = int(engine.settings()["pid"])
    assert alive(number)
    engine.close()
    assert not alive(number)
    engine.close()


def alive(number: int) -> bool:
    """Whether a process is there, and has not ended (as one that nobody has waited for)."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{number}/stat")
    return not state.exists() or state.read_text().rpartition(") ")[2][0] != "Z"


def test_the_end_of_the_measuring_process_is_theirs() -> None:
    engines = {OURS: ENGINES[OURS], "Elsewhere": spec("Elsewhere"), "Hangs": spec("Hangs")}
    events = session.events(Request(CASES, engines, 1, None, 0.002, probe_seconds=0.001))
    numbers = []
    for event in events:
        if event["event"] == "engine" and event["name"] == "Elsewhere":
            numbers.append(int(event["settings"]["pid"]))
        if event == {"event": "at", "row": 1, "doing": "Hangs"}:
            break
    (number,) = numbers
    assert alive(number)
    events.close()
    until = time.monotonic() + 60
    while alive(number):
        assert time.monotonic() < until
        time.sleep(0.01)


# The other side, in this process ---------------------------------------------------------------------


def test_threads_are_asleep_when_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[str] = []
    monkeypatch.setattr(timing, "rest", lambda: rests.append("rest"))
    for threads, many in ((1, 0), (2, 1)):
        rests.clear()
        host = apart._Host(fakes.Good(threads, None), threads)
        with collecting_as_before():
            host.prepare(problem.make(CASES[1]))
            host.do(apart.results, 1)
        assert len(rests) == many


def test_garbage_is_not_collected_there_either() -> None:
    host = apart._Host(fakes.Good(1, None), 1)
    with collecting_as_before():
        gc.enable()
        host.prepare(problem.make(CASES[1]))
        assert host.do(enabled) is False


def enabled(run: Run) -> bool:
    return gc.isenabled()


class collecting_as_before:  # noqa: N801 - a context
    def __enter__(self) -> None:
        self.before = gc.isenabled()

    def __exit__(self, *_: object) -> None:
        (gc.enable if self.before else gc.disable)()


def test_tapes_are_told() -> None:
    class Taped(fakes.Good):
        def spoil(self, run: Run) -> Run:
            return Run(run.call, run.results, tape_bytes=12)

    host = apart._Host(Taped(1, None), 1)
    with collecting_as_before():
        assert host.prepare(problem.make(CASES[2])) == 12


def test_others_stay_here() -> None:
    good = apart.load(spec("Good"), 1, None)
    assert isinstance(good, fakes.Good)
    run = good.prepare(problem.make(CASES[1]))
    assert run.do(pid) == os.getpid()
    assert all(isinstance(array, np.ndarray) for array in run.do(apart.results, 1).values())
