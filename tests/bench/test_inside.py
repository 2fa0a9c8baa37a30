"""lstmfast inside ONNX Runtime in `lstmfast bench`: who is held against whom, and how it is told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import lstmfast
from lstmfast._bench import engines, inside, page, problem, targets
from lstmfast._bench.cases import Case
from lstmfast._bench.engines import ENGINES, IN_ONNX_RUNTIME, NO_SPINNING, OURS, onnx_runtime
from lstmfast._bench.outputs import Outputs
from lstmfast._bench.results import Report

from .helpers import printed

(IN, BOUND), (IN_QUIET, BOUND_QUIET) = IN_ONNX_RUNTIME.items()


def step(H: int) -> Case:
    return Case(1, 1, H, H, work="step", suite="onnx")


CASES = [
    step(24),
    step(64),
    step(128),
    Case(100, 1, 64, 64, suite="onnx"),
    Case(50, 16, 64, 64, suite="onnx"),
    Case(50, 1, 64, 64, work="chain", suite="onnx"),
    Case(100, 1, 64, 64, suite="classic"),
]
# In each row milliseconds of lstmfast's calls, and of sessions: ours and its own, spinning and not.
TIMES: list[tuple[float | None, ...]] = [
    (1, 2, 4, 2, 3),
    (1, 2, 3.6, 2, 8),
    (1, 2, 2.8, 2, 8),
    (1, 2, 4, 2, 8),
    (1, 2, 1.8, 2, 8),
    (None, 2, 6, 2, 8),
    (1, None, None, None, None),
]
NAMES = (OURS, IN, BOUND, IN_QUIET, BOUND_QUIET)
MIB = 2**20


def growth(engine: str, sessions: int, mebibytes: float, held: float | None) -> dict[str, Any]:
    return {
        "engine": engine,
        "sessions": sessions,
        "resident": round(mebibytes * MIB),
        "held": None if held is None else round(held * MIB),
    }


GROWTH = [
    growth(IN, 1, 48.3, 30.2),
    growth(BOUND, 1, 48.1, 33.1),
    growth(IN, 3, 112, None),
    growth(BOUND, 3, 192, None),
]


def made(names: tuple[str, ...] = NAMES, memory: list[dict[str, Any]] = GROWTH) -> Report:
    report = Report({"threads": 2, "date": "2000-01-01"}, CASES)
    machine = {"lstmfast": "9.9", "CPU": "One", "CPUs usable": "2", "load": "0.10"}
    report.take({"event": "machine", "machine": machine, "isa": "avx2"})
    for name in names:
        report.take({"event": "engine", "name": name, "precision": "float32", "settings": {}})
    for number, times in enumerate(TIMES):
        cells = {
            name: {"status": "ok", "seconds": [one * 1e-3]} if one else {"status": "unsupported"}
            for name, one in zip(NAMES, times, strict=True)
            if name in names
        }
        report.take({"event": "row", "row": number, "cells": cells})
    for found in memory:
        report.take({"event": "memory", "growth": found})
    return report


# Who is held against whom ----------------------------------------------------------------------------


def test_each_of_ours_is_held_against_the_same_session_with_other_operators() -> None:
    for ours, its in IN_ONNX_RUNTIME.items():
        assert (ours in NO_SPINNING) == (its in NO_SPINNING)
        mine, theirs = (engines.load(ENGINES[name], 2, None) for name in (ours, its))
        assert isinstance(theirs, onnx_runtime.OnnxRuntimeBound)
        assert isinstance(mine, type(theirs).__mro__[-2])
        told, other = mine.settings(), theirs.settings()
        assert told.pop("provider") == "LstmfastExecutionProvider, CPUExecutionProvider"
        assert other.pop("provider") == "CPUExecutionProvider"
        assert told.pop("instruction set") == lstmfast.isa()
        del other["instruction set"]
        assert told == other
        assert told["spinning"] == f"allow_spinning {int(ours not in NO_SPINNING)}"


class SessionOptions:
    """What a session is told."""

    def __init__(self) -> None:
        self.told: dict[str, str] = {}

    def add_session_config_entry(self, key: str, value: str) -> None:
        self.told[key] = value


@pytest.mark.parametrize("name", [*IN_ONNX_RUNTIME, *IN_ONNX_RUNTIME.values()])
def test_a_session_is_told_its_threads_and_whether_they_spin(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lstmfast import onnx

    def session(model: bytes, options: Any, isa: Any = None, providers: Any = None) -> Any:
        return model, options, isa, providers

    monkeypatch.setattr(onnx, "session", session)
    engine: Any = engines.load(ENGINES[name], 2, "scalar")
    engine._ort = SimpleNamespace(SessionOptions=SessionOptions, InferenceSession=session)
    model, options, isa, providers = engine.session(b"a model")
    assert (model, options.intra_op_num_threads, options.inter_op_num_threads) == (b"a model", 2, 1)
    assert options.told == {"session.intra_op.allow_spinning": "0" if name in NO_SPINNING else "1"}
    ours = name in IN_ONNX_RUNTIME
    assert (isa, providers) == (("scalar", None) if ours else (None, ["CPUExecutionProvider"]))


def test_targets_are_those_of_our_sessions_and_of_nobody_else() -> None:
    found: dict[tuple[str, str], Any] = {
        (each.engine, each.target.rows): (each.rival, each.value, each.met, each.count)
        for each in targets.outcomes(made())
    }
    assert found == {
        (IN, "single steps, H of 24 to 64"): (BOUND, pytest.approx(1.8), True, 2),
        (IN, "single steps, H=128"): (BOUND, pytest.approx(1.4), False, 1),
        (IN, "sequences, T=100, B=1"): (BOUND, pytest.approx(2.0), True, 1),
        (IN, "sequences, T=50"): (BOUND, pytest.approx(0.9), False, 1),
        (IN, "chains"): (BOUND, pytest.approx(3.0), True, 1),
        (IN_QUIET, "single steps, H of 24 to 64"): (BOUND_QUIET, pytest.approx(1.5), False, 2),
        (IN_QUIET, "single steps, H=128"): (BOUND_QUIET, pytest.approx(4.0), True, 1),
        (IN_QUIET, "sequences, T=100, B=1"): (BOUND_QUIET, pytest.approx(4.0), True, 1),
        (IN_QUIET, "sequences, T=50"): (BOUND_QUIET, pytest.approx(4.0), True, 1),
        (IN_QUIET, "chains"): (BOUND_QUIET, pytest.approx(4.0), True, 1),
    }


def test_what_is_aimed_at() -> None:
    aims = [(target.rows, target.least) for target in targets.TARGETS["onnx"]]
    assert aims == [
        ("single steps, H of 24 to 64", 1.8),
        ("single steps, H=128", 1.5),
        ("sequences, T=100, B=1", 1.3),
        ("sequences, T=50", 1.0),
        ("chains", 3.0),
    ]
    assert not any(target.mean for target in targets.TARGETS["onnx"])
    assert inside.MOST == {1: 1.0, 3: 0.5}


def test_it_is_no_rival_and_has_no_column() -> None:
    report = made()
    assert report.rivals() == [BOUND, BOUND_QUIET]
    assert report.others == [BOUND, BOUND_QUIET]
    assert [report.fastest_other(row) for row in report.rows[:2]] == [BOUND_QUIET, BOUND]


def test_a_node_that_is_not_ours_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmfast import onnx
    from lstmfast._bench.engines import in_onnx_runtime

    engine = in_onnx_runtime.InOnnxRuntime(1, None)
    monkeypatch.setattr(onnx_runtime.OnnxRuntime, "_model", lambda self, task: b"a model")
    monkeypatch.setattr(engine, "_options", lambda: None)
    task = problem.make(Case(4, 2, 3, 5))
    ours = onnx.NodeExplanation("", "", "LSTM", "y", "lstmfast", "")
    left = onnx.NodeExplanation("", "", "LSTM", "z", "onnxruntime", "its weights are computed")
    for nodes, fine in (((ours,), True), ((ours, left), False), ((), False)):
        monkeypatch.setattr(onnx, "explain", lambda *_, nodes=nodes: onnx.ModelExplanation(nodes, ()))
        if fine:
            assert engine._model(task) == b"a model"
        else:
            with pytest.raises(RuntimeError, match=r"^not all of its nodes run on lstmfast: "):
                engine._model(task)


def test_an_onnx_runtime_that_is_too_old_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmfast import onnx

    monkeypatch.setattr(onnx_runtime.OnnxRuntime, "missing", lambda self: None)
    engine = engines.load(ENGINES[IN], 1, None)

    def register() -> None:
        raise error

    monkeypatch.setattr(onnx, "register", register)
    error: Exception = ImportError("needs onnxruntime 1.24")
    assert engine.missing() == "needs onnxruntime 1.24"
    error = RuntimeError("changed")
    assert engine.missing() == "lstmfast.onnx cannot be registered: RuntimeError: changed"


# How it is told --------------------------------------------------------------------------------------


def test_table_and_page_have_both_sides_of_each_kind() -> None:
    text = printed(made(), 132)
    assert re.search(r"\nonnx, in ONNX Runtime *\nT=1 B=1 I=24 H=24 +4\.00ms +2\.00ms +2\.00x", text)
    assert re.search(
        r"\nonnx, in ONNX Runtime no spinning *\nT=1 B=1 I=24 H=24 +3\.00ms +2\.00ms +1\.50x", text
    )
    assert re.search(r"\nT=50 B=1 chain I=64 H=64 +6\.00ms +2\.00ms +3\.00x", text)
    assert re.search(r"\ngeometric mean +1\.73x", text)
    assert "lstmfast in ONNX Runtime: single steps, H=128 (1)" in text
    assert "1.40x missed" in text
    said = " ".join(text.split())
    assert "chain: T nodes of one step in one graph" in said
    assert "Its threads look for more work for some 40 ms" in said
    assert f"{IN}, {IN_QUIET}: lstmfast inside others, never the fastest other engine." in said
    html = page.render(made())
    assert "<h2>Inside others</h2>" in html
    row = "<td>T=1 B=1 I=24 H=24</td><td>ONNX Runtime no spinning</td>"
    assert re.search(rf"{row}<td [^>]*>3\.00ms</td><td [^>]*>2\.00ms</td><td>1\.50x</td>", html)


def test_one_side_alone_is_no_comparison() -> None:
    for names in ((OURS, IN), (OURS, BOUND), (OURS,)):
        report = made(names, [])
        assert inside.suites(report) == {}
        assert targets.outcomes(report) == []
        text, html = printed(report, 132), page.render(report)
        for word in ("inside others", "sessions:", "Inside others", "Memory of sessions"):
            assert word not in text + html
        assert inside.to_json(report)["rows"] == []


def test_a_failure_has_no_ratio() -> None:
    report = made()
    report.rows[0].cells[IN].status = "failed"
    text = printed(report, 132)
    assert re.search(r"\nT=1 B=1 I=24 H=24 +4\.00ms +failed +- *\n", text)


def test_json_has_the_same(tmp_path: Path) -> None:
    assert Outputs(json=tmp_path / "a.json").write(made()) == []
    saved = json.loads((tmp_path / "a.json").read_text())
    found = saved["inside"]
    assert len(found["rows"]) == 6 * 2
    assert found["rows"][6] == {
        "suite": "onnx",
        "shape": "T=1 B=1 I=24 H=24",
        "engine": IN_QUIET,
        "rival": BOUND_QUIET,
        "ratio": pytest.approx(1.5),
    }
    assert found["geometric_means"]["onnx"][IN] == pytest.approx((2 * 1.8 * 1.4 * 2 * 0.9 * 3) ** (1 / 6))
    assert found["memory"]["model_bytes"] == 32 * MIB
    assert found["memory"]["targets"] == [
        {"sessions": 1, "most": 1.0, "value": 1.0, "met": True},
        {"sessions": 3, "most": 0.5, "value": pytest.approx(112 / 192), "met": False},
    ]
    assert saved["targets"][0]["rival"] == BOUND


def test_memory_is_told_beside_what_was_aimed_at() -> None:
    text = printed(made(), 132)
    assert re.search(r"\n +1 +48 MiB +48 MiB +1\.00 +1\.00 at most +33 MiB +30 MiB", text)
    assert re.search(r"\n +3 +192 MiB +112 MiB +0\.58 missed +0\.50 at most +- +-", text)
    assert "a model of 32 MiB, in whole MiB" in " ".join(text.split())
    html = page.render(made())
    assert "<td>192 MiB</td><td>112 MiB</td><td>0.58 missed</td>" in html


def test_memory_that_cannot_be_measured_is_a_failure_and_no_target_met() -> None:
    note = {"engine": IN, "sessions": 1, "note": "its process ended: exit code 1"}
    report = made(memory=[note, GROWTH[1]])
    assert report.failures == [f"{IN}'s memory: failed: its process ended: exit code 1"]
    (found,) = inside.memory(report)
    assert (found.part, found.met) == (None, False)
    assert re.search(r"\n +1 +48 MiB +- +- +1\.00 at most", printed(report, 132))
