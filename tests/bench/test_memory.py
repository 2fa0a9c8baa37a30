"""Memory of sessions in `lstmfast bench onnx`: in processes of their own, the median of some."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lstmfast._bench import memory, worker
from lstmfast._bench.cases import Case
from lstmfast._bench.engines import ENGINES, OURS
from lstmfast._bench.memory import Growth

IN, BOUND = memory.ENGINES
MIB = 2**20
FAKES = {
    IN: "tests.bench.fakes:MakesSessions",
    BOUND: "tests.bench.fakes:MakesLargeSessions",
    "another": "tests.bench.fakes:Good",
}


@pytest.fixture
def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """No files of ONNX, for which its package would be needed."""
    monkeypatch.setattr(memory, "_write", lambda path, case: Path(path).write_bytes(b""))


@pytest.mark.alone
@pytest.mark.usefixtures("no_models")
def test_each_session_counts_and_what_is_freed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    if not memory._STATM.exists():
        pytest.skip("this system does not say how much a process takes")
    monkeypatch.setattr(memory, "TIMES", 1)
    found = list(memory.measure(FAKES, 1, None))
    assert [(each.engine, each.sessions) for each in found] == [(IN, 1), (BOUND, 1), (IN, 3), (BOUND, 3)]
    for each, mebibytes in zip(found, (8, 16, 24, 48), strict=True):
        assert each.note == ""
        assert each.mebibytes == pytest.approx(mebibytes, abs=2)
        assert each.held is None or each.held / MIB == pytest.approx(mebibytes, abs=2)


def test_the_median_counts_and_a_failure_is_kept() -> None:
    found = [Growth("", 1, resident, resident) for resident in (30, 10, 20)]
    assert memory._median(found) is found[2]
    bad = Growth("", 1, note="no")
    assert memory._median([*found, bad]) is bad
    assert (Growth("", 1, round(1.4 * MIB)).mebibytes, bad.mebibytes) == (1, None)


@pytest.mark.usefixtures("no_models")
def test_a_process_that_ends_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    if not memory._STATM.exists():
        pytest.skip("this system does not say how much a process takes")
    monkeypatch.setattr(memory, "TIMES", 1)
    monkeypatch.setattr(memory, "SESSIONS", (1,))
    missing, broken = memory.measure(
        {IN: "tests.bench.fakes:Missing", BOUND: "tests.bench.fakes:Good"}, 1, None
    )
    assert missing.note == "its process ended: exit code 1: nothing is not installed"
    assert "AttributeError: 'Good' object has no attribute 'session'" in broken.note


def test_a_system_that_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_STATM", Path("/nowhere/statm"))
    (found,) = memory.measure({BOUND: "tests.bench.fakes:MakesSessions"}, 1, None)
    assert (found.engine, found.resident) == (BOUND, None)
    assert found.note == "this system does not say how much a process takes"


@pytest.mark.parametrize(("suite", "count"), [("onnx", 1), ("own", 0)])
def test_only_the_suite_brings_it_and_only_for_who_is_there(
    suite: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def measure(*arguments: Any) -> list[Growth]:
        asked.append(arguments)
        return [Growth(IN, 1, 5)]

    monkeypatch.setattr(memory, "measure", measure)
    specs = {OURS: ENGINES[OURS], IN: FAKES["another"], BOUND: "tests.bench.fakes:Missing"}
    request = worker.Request([Case(2, 1, 2, 3, suite=suite)], specs, 1, None, 0.002, probe_seconds=0.001)
    events = [event for event in worker.measure(request) if event["event"] == "memory"]
    told = {"engine": IN, "sessions": 1, "resident": 5, "held": None, "note": ""}
    assert events == [{"event": "memory", "growth": told}] * count
    assert asked == [({name: specs[name] for name in (OURS, IN)}, 1, None)] * count
