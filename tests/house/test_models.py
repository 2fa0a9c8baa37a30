"""What examples/models promises: a program, its environment and its rows of the table; what they share."""

from __future__ import annotations

import importlib.util
import re
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from ..helpers import ROOT

MODELS = ROOT / "examples" / "models"
PROGRAMS = sorted(path.stem for path in MODELS.glob("[!_]*.py"))
TABLE = re.findall(r"^\| \[.+\]\((\w+)\.py\) .*\|$", (MODELS / "README.md").read_text(encoding="utf-8"), re.M)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, MODELS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


table = load("_table")


def test_every_program_has_its_row_and_its_environment() -> None:
    assert len(PROGRAMS) > 10
    assert set(TABLE) == set(PROGRAMS)
    assert sorted(path.stem for path in MODELS.glob("*.txt")) == PROGRAMS


@pytest.mark.parametrize("name", PROGRAMS)
def test_environments_are_pinned(name: str) -> None:
    lines = (MODELS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[\w\-\[\]]+==[\w.]+(  # .+)?", line)] == []
    if "torch" in " ".join(lines):
        assert "torch==2.13.0" in lines


def test_the_session_finds_them() -> None:
    """It goes by the files, so it is enough that it is there and looks for these."""
    session = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    assert 'MODELS.glob("[!_]*.py")' in session
    assert "\ndef models(session: nox.Session, model: str)" in session


@pytest.mark.parametrize("name", PROGRAMS)
def test_they_say_what_they_compare(name: str) -> None:
    source = (MODELS / f"{name}.py").read_text(encoding="utf-8")
    compile(source, name, "exec")
    assert re.search(r"\blstmfast\.", source)
    assert re.search(r"\btolerance=", source)
    assert len(source.splitlines()) < 120


def test_largest_difference() -> None:
    a = {"y": [np.array([1.0, 2.0]), (3, "text")]}
    assert table.largest_difference(a, {"y": [np.array([1.0, 2.5]), (4, "text")]}) == 1.0
    assert table.largest_difference(a, {"y": [np.array([1.0, 2.0]), (3, "text")]}) == 0.0
    assert table.largest_difference(np.array([1], np.float32), np.array([1.25])) == 0.25
    assert table.largest_difference([], []) == 0.0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (np.zeros(2), np.zeros(3)),
        (np.zeros(2), np.array([0.0, np.nan])),
        (np.array([np.inf]), np.array([np.inf])),
        ([1.0], [1.0, 2.0]),
        ([1.0], 1.0),
        ({"y": 1.0}, {"z": 1.0}),
        ("one text", "another"),
        (None, None),
    ],
)
def test_what_cannot_be_compared_is_infinitely_far(before: object, after: object) -> None:
    assert table.largest_difference(before, after) == np.inf


def test_seconds_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    order: list[str] = []
    monkeypatch.setattr(table.time, "perf_counter", lambda: now[0])
    steps = {"a": iter([1.0, 9.0, 2.0]), "b": iter([5.0, 5.0, 4.0])}

    def work(name: str) -> None:
        order.append(name)
        now[0] += next(steps[name])

    assert table.seconds_in_turns([lambda: work("a"), lambda: work("b")], 3) == [2.0, 5.0]
    assert order == ["a", "b"] * 3


def test_recurrent_seconds() -> None:
    def node(name: str, operator: str, microseconds: int) -> dict[str, object]:
        return {"cat": "Node", "name": name, "dur": microseconds, "args": {"op_name": operator}}

    events = [
        node("/lstm_kernel_time", "LSTM", 300),
        node("/gru_kernel_time", "GRU", 200),
        node("/lstm_fence_before", "LSTM", 50),
        node("/conv_kernel_time", "Conv", 1000),
        {"cat": "Session", "name": "model_run", "dur": 5000},
    ]
    assert table.recurrent_seconds(events) == pytest.approx(500e-6)


@pytest.mark.parametrize(
    ("seconds", "said"), [(12.345, "12.3 s"), (0.5, "500 ms"), (0.00123, "1.23 ms"), (4.2e-6, "4.2 us")]
)
def test_time_said(seconds: float, said: str) -> None:
    assert table.time_said(seconds) == said


def test_row(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = SimpleNamespace(threads=2, rounds=1)
    table.row("a model", "a page", lambda: [1.0], lambda: [1.5], chosen, tolerance=0.5, share=0.25)
    cells = capsys.readouterr().out.strip().strip("|").split("|")
    assert len(cells) == len(table.COLUMNS)
    assert [cells[i].strip() for i in (0, 1, 2, 6, 7)] == ["a model", "a page", "2", "25%", "5e-01"]
    with pytest.raises(SystemExit, match=r"a model: results differ by 5\.0e-01, which is more than 4e-01"):
        table.row("a model", "a page", lambda: [1.0], lambda: [1.5], chosen, tolerance=0.4)
    assert capsys.readouterr().out == ""


def test_options(monkeypatch: pytest.MonkeyPatch) -> None:
    import lstmfast

    before = lstmfast.get_num_threads()
    try:
        monkeypatch.setattr(sys, "argv", ["program", "--threads", "1", "--rounds", "3"])
        monkeypatch.delitem(sys.modules, "torch", raising=False)
        assert vars(table.options("About it.\n\nMore.")) == {"threads": 1, "rounds": 3}
        assert lstmfast.get_num_threads() == 1
        assert table.options("About it.", threads=2).threads == 2
    finally:
        lstmfast.set_num_threads(before)


@pytest.mark.usefixtures("torch")
def test_recurrent_share_and_outputs() -> None:
    import torch

    lstm, head = torch.nn.LSTM(64, 256), torch.nn.Linear(256, 1)
    model = torch.nn.ModuleList([lstm, head])
    x = torch.zeros(50, 1, 64)
    calls: list[object] = []

    def work() -> None:
        calls.append(head(lstm(x)[0]))

    assert 0.3 < table.recurrent_share(model, lambda _: work()) < 1
    assert len(calls) == 2
    assert not lstm._forward_hooks
    with table.outputs_of(head) as found:
        work()
    assert len(found) == 1
    assert found[0] is calls[-1]
    assert not head._forward_hooks
