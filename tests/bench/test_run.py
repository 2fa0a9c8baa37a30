"""A whole run, in its two processes: what ends it early, and what is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lstmfast
from lstmfast._bench import command, session, timing, worker
from lstmfast._bench.cases import Case
from lstmfast._bench.engines import ENGINES, OURS
from lstmfast._bench.outputs import Outputs
from lstmfast._bench.results import Report
from lstmfast._bench.worker import Request

TINY = [Case(1, 1, 2, 3, work="step"), Case(3, 2, 2, 3), Case(3, 2, 2, 3, work="train")]


def fakes(*names: str) -> dict[str, str]:
    """lstmfast, and engines of `fakes`."""
    return {OURS: ENGINES[OURS], **{name: f"tests.bench.fakes:{name}" for name in names}}


def request(*names: str, cases: list[Case] = TINY, seconds: float = 0.002, **more: Any) -> Request:
    return Request(cases, fakes(*names), 1, None, seconds, probe_seconds=0.001, **more)


def cells_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event["cells"] for event in events if event["event"] == "row"]


# The measuring, in this process ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured() -> Iterator[list[dict[str, Any]]]:
    before = lstmfast.get_num_threads()
    names = ["Good", "Forgetful", "Wrong", "WrongInt8", "NotANumber", "Misshapen", "Silent", "Missing"]
    names += ["NeverTrains", "CannotPrepare", "FailsLate", "Float16", "SwappedFloat16"]
    yield list(worker.measure(request(*names)))
    lstmfast.set_num_threads(before)


def test_events_come_in_order(measured: list[dict[str, Any]]) -> None:
    kinds = [event["event"] for event in measured if event["event"] != "at"]
    assert kinds == ["machine", *["engine"] * 14, "limits", *["row"] * len(TINY), "limits", "end"]
    assert all(json.loads(json.dumps(event)) == event for event in measured)


def test_what_is_right_is_timed(measured: list[dict[str, Any]]) -> None:
    for cells in cells_of(measured):
        for name in (OURS, "Good"):
            assert cells[name]["status"] == "ok"
            assert cells[name]["difference"] < 1e-6
            assert len(cells[name]["seconds"]) >= 3
            assert cells[name]["calls"] >= 1


@pytest.mark.parametrize(
    ("name", "row", "status", "words"),
    [
        ("Forgetful", 0, "wrong", "differs from the reference by"),
        ("Forgetful", 1, "ok", ""),
        ("Wrong", 1, "wrong", "at most 1e-04 allowed"),
        ("WrongInt8", 1, "ok", ""),
        ("Float16", 1, "ok", ""),
        ("SwappedFloat16", 0, "wrong", "at most 2e-03 allowed"),
        ("SwappedFloat16", 1, "wrong", "at most 2e-03 allowed"),
        ("NotANumber", 1, "wrong", "by nan of its largest value"),
        ("Misshapen", 1, "failed", "expected shape (3, 2, 3), got (3, 2, 1)"),
        ("Silent", 1, "failed", "expected results y, h_n, c_n, got y"),
        ("NeverTrains", 1, "ok", ""),
        ("NeverTrains", 2, "unsupported", "inference only"),
        ("CannotPrepare", 1, "failed", "RuntimeError: no kernel for this"),
        ("FailsLate", 1, "failed", "RuntimeError: out of luck"),
    ],
)
def test_what_is_not_right_is_told(
    name: str, row: int, status: str, words: str, measured: list[dict[str, Any]]
) -> None:
    cell = cells_of(measured)[row][name]
    assert cell["status"] == status
    assert words in cell.get("note", "")
    assert ("seconds" in cell) == (status == "ok")


def test_who_is_missing_has_a_reason_and_no_cells(measured: list[dict[str, Any]]) -> None:
    (event,) = (event for event in measured if event["event"] == "engine" and event["name"] == "Missing")
    assert event["missing"] == "nothing is not installed"
    assert all("Missing" not in cells for cells in cells_of(measured))


def test_a_deadline_makes_rows_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def measure(runs: dict[str, Any], seconds: float, **_: object) -> dict[str, Any]:
        given.append(seconds)
        now[0] += 10
        return {}

    now = [0.0]
    monkeypatch.setattr(timing, "measure", measure)
    cases = [Case(2, 1, 1, 1)] * 4
    asked = request("Good", cases=cases, seconds=3.0, deadline=48.0)
    list(worker.measure(asked, clock=lambda: now[0]))
    # Half of what is left, shared among the rows left and two engines.
    assert given == [pytest.approx(3.0), pytest.approx(3.0), pytest.approx(3.0), pytest.approx(3.0)]
    given.clear()
    now[0] = 0.0
    asked = request("Good", cases=cases, seconds=3.0, deadline=16.0)
    list(worker.measure(asked, clock=lambda: now[0]))
    assert given == [pytest.approx(1.0), pytest.approx(0.5), worker.LEAST_SECONDS, worker.LEAST_SECONDS]


# The measuring process -------------------------------------------------------------------------------


def test_requests_survive_the_way() -> None:
    rare = [Case(9, 4, 2, 3, cell="rnn", valid=65), Case(9, 4, 2, 3, work="train", reset=9, recompute=True)]
    asked = request("Good", cases=[*TINY, *rare], deadline=3.5)
    assert Request.from_json(asked.to_json()) == asked


def test_the_environment_is_set_before_engines_are_loaded() -> None:
    first, *_ = session.events(request("Good"))
    assert first["variables"]["OMP_NUM_THREADS"] == "1"


def test_what_engines_print_is_no_event() -> None:
    events = list(session.events(request("Noisy", cases=TINY[:1])))
    assert events[-1] == {"event": "end"}
    assert cells_of(events)[0]["Noisy"]["status"] == "ok"


def test_a_process_that_dies_tells_how() -> None:
    events = session.events(request("Crashes"))
    seen: list[dict[str, Any]] = []
    with pytest.raises(session.WorkerError, match=r"^signal SIGKILL: these are my last words$"):
        seen.extend(events)
    assert len(cells_of(seen)) == 1
    assert seen[-1] == {"event": "at", "row": 1, "doing": "Crashes"}


def test_an_exception_of_our_own_tells_what() -> None:
    asked = Request(TINY, {OURS: "tests.bench.fakes:NoSuchEngine"}, 1, None, 0.01)
    with pytest.raises(session.WorkerError, match=r"^exit code 1: AttributeError: .*NoSuchEngine"):
        list(session.events(asked))


def test_closing_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[str]] = []
    popen = subprocess.Popen

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[str]:
        started.append(popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    events = session.events(request("Hangs"))
    for event in events:
        if event == {"event": "at", "row": 1, "doing": "Hangs"}:
            break
    (process,) = started
    assert process.poll() is None
    events.close()
    assert process.returncode == -signal.SIGKILL


# The whole run ---------------------------------------------------------------------------------------


def test_a_run_that_goes_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = Outputs(tmp_path / "a.json", tmp_path / "a.png", tmp_path / "a.html")
    report = command.run(TINY, engines=fakes("Good", "Missing"), seconds=0.002, outputs=outputs)
    assert report.finished
    assert [row.case for row in report.rows] == TINY
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "a.png", "a.html"}
    saved = json.loads((tmp_path / "a.json").read_text())
    assert saved["finished"] is True
    assert [row["ratio"] > 0 for row in saved["rows"]] == [True] * 3
    out = capsys.readouterr().out
    assert "Missing: not measured: nothing is not installed" in out
    assert f"Written: {outputs}" in out


def test_a_crash_keeps_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = Outputs(json=tmp_path / "a.json", html=tmp_path / "a.html")
    with pytest.raises(command.BenchError) as caught:
        command.run(TINY, engines=fakes("Crashes"), seconds=0.002, outputs=outputs)
    for words in (
        "own T=3 B=2 I=2 H=3: Crashes",
        "SIGKILL",
        "1 of 3 rows were measured",
        "a.json",
        "--engines",
    ):
        assert words in str(caught.value)
    saved = json.loads((tmp_path / "a.json").read_text())
    assert len(saved["rows"]) == 1
    assert saved["finished"] is False
    assert "SIGKILL" in saved["trouble"]
    assert "SIGKILL" in (tmp_path / "a.html").read_text()
    assert "T=1 B=1" in capsys.readouterr().out


def test_a_failure_is_reported_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(
        command.BenchError, match=r"^3 of the results are missing.*no kernel for this; 3 of 3 rows"
    ):
        command.run(TINY, engines=fakes("CannotPrepare", "Good"), seconds=0.002, outputs=Outputs(json=path))
    saved = json.loads(path.read_text())
    assert saved["finished"] is True
    assert [row["cells"]["Good"]["status"] for row in saved["rows"]] == ["ok"] * 3
    assert "failed" in capsys.readouterr().out


def test_an_output_that_breaks_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    outputs = Outputs(json=folder / "a.json", html=tmp_path / "a.html")

    def measure(asked: Request, report: Report) -> bool:
        for event in worker.measure(asked):
            report.take(event)
        folder.rmdir()
        return False

    monkeypatch.setattr(command, "_measure", measure)
    with pytest.raises(command.BenchError, match=r"^--json: cannot write to '.*a\.json': No such file"):
        command.run(TINY[:1], engines=fakes("Good"), seconds=0.002, outputs=outputs)
    assert (tmp_path / "a.html").exists()


def test_ctrl_c_keeps_what_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    code = (
        # A shell starts what is to run in the background with interrupts ignored, and this whole test may be.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "import sys; from lstmfast import _cli; from lstmfast._bench import engines;"
        "engines.ENGINES['Hangs'] = 'tests.bench.fakes:Hangs';"
        "sys.exit(_cli.main(['bench', '--shapes', 'T=1,B=1,I=2,H=3;T=3,B=1,I=2,H=3', '--engines', 'hangs',"
        f"'--seconds', '0.002', '--json', {str(path)!r}]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "FORCE_COLOR": "1", "COLUMNS": "100"},
        start_new_session=True,
    )
    assert process.stderr is not None
    said = ""
    until = time.monotonic() + 60
    while "T=3 B=1 I=2 H=3: Hangs" not in said:
        said += process.stderr.read(1)
        assert process.poll() is None, said
        assert time.monotonic() < until, said
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"lstmfast: interrupted; 1 of 2 rows were measured and are kept in {path}" in errors
    assert "Traceback" not in errors
    assert "geometric mean" in out
    saved = json.loads(path.read_text())
    assert (len(saved["rows"]), saved["trouble"]) == (1, "interrupted")
