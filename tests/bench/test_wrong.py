"""A row in which an engine is wrong says so and by how much: in table, page and JSON, and at the end."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from lstmfast._bench import command, page, worker
from lstmfast._bench.cases import Case
from lstmfast._bench.engines import ENGINES, KIN, OURS
from lstmfast._bench.outputs import Outputs
from lstmfast._bench.results import Cell, Report
from lstmfast._bench.words import no_time

from .helpers import printed

CASES = [Case(3, 2, 2, 3), Case(4, 2, 2, 3)]


def fakes(*names: str) -> dict[str, str]:
    return {OURS: ENGINES[OURS], **{name: f"tests.bench.fakes:{name}" for name in names}}


# The check -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("differences", "cell"),
    [
        ([1e-7, 2e-7], {"status": "ok", "difference": 2e-7}),
        ([1e-4], {"status": "ok", "difference": 1e-4}),
        ([0.25, 1e-7], {"status": "wrong", "difference": 0.25, "words": "by 2.5e-01 of its largest value, "}),
        ([1e-7, 0.25], {"status": "wrong", "difference": 0.25, "words": "largest value when called again, "}),
        ([math.nan, 1e-7], {"status": "wrong", "difference": None, "words": "by nan of"}),
        ([1e-7, math.nan], {"status": "wrong", "difference": None, "words": "by nan of"}),
        ([math.inf, 1e-7], {"status": "wrong", "difference": None, "words": "by inf of"}),
    ],
)
def test_every_look_counts(differences: list[float], cell: dict[str, Any]) -> None:
    found = worker._judged(differences, 1e-4)
    assert cell.pop("words", "") in found.pop("note", "")
    assert found == cell


def test_what_a_call_leaves_behind_is_seen() -> None:
    asked = worker.Request(CASES[:1], fakes("Hoarder"), 1, None, 0.002, probe_seconds=0.001)
    (cells,) = (event["cells"] for event in worker.measure(asked) if event["event"] == "row")
    assert cells["Hoarder"]["status"] == "wrong"
    assert cells["Hoarder"]["difference"] > 0.01
    assert "when called again" in cells["Hoarder"]["note"]
    assert cells[OURS]["status"] == "ok"


# The report ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (None, "-"),
        (Cell("unsupported", "inference only"), "-"),
        (Cell("failed", "RuntimeError: broken"), "failed"),
        (Cell("wrong", "", 0.3214), "wrong by 0.3"),
        (Cell("wrong", "", 2.4e-4), "wrong by 0.0002"),
        (Cell("wrong", "", 123.0), "wrong by 1e+02"),
        (Cell("wrong", "differs by nan"), "wrong"),
    ],
)
def test_why_there_is_no_time(cell: Cell | None, words: str) -> None:
    assert no_time(cell) == words
    assert no_time(cell, "\n") == words.replace(" by", "\nby")


def ok(seconds: float) -> dict[str, Any]:
    return {"status": "ok", "difference": 1e-7, "calls": 3, "seconds": [seconds], "cpus": 1.0}


WRONG = {"status": "wrong", "difference": 0.31, "note": "differs from the reference by 3.1e-01"}
FAILED = {"status": "failed", "note": "RuntimeError: broken"}


def made(*rows: dict[str, dict[str, Any]]) -> Report:
    report = Report({"threads": 1, "date": "2000-01-01"}, CASES)
    names = dict.fromkeys(name for cells in rows for name in cells)
    machine = {"lstmfast": "9.9", "CPU": "One", "CPUs usable": "2", "load": "0.10"}
    report.take({"event": "machine", "machine": machine, "isa": "avx2"})
    for name in names:
        report.take({"event": "engine", "name": name, "precision": "float32", "settings": {}})
    for number, cells in enumerate(rows):
        report.take({"event": "row", "row": number, "cells": cells})
    return report


def test_the_table_says_by_how_much_and_counts_it_for_nothing() -> None:
    report = made({OURS: ok(1e-3), "fast": WRONG, "slow": ok(3e-3)})
    text = printed(report, 120)
    assert re.search(r"\nT=3 B=2 +1\.00ms +- +3\.00x +wrong +3\.00ms", text)
    assert re.search(r"\nI=2 H=3 +\S+ +by 0\.3 +3\.00x\*", text)
    assert "wrong by: what a result is off by" in text
    assert "fast at T=3 B=2 I=2 H=3: wrong: differs from the reference by 3.1e-01" in " ".join(text.split())
    (row,) = report.rows
    assert (report.fastest_other(row), row.ratio("fast")) == ("slow", None)
    assert math.isnan(report.mean_ratio([row], "fast"))


def test_the_page_says_the_same() -> None:
    html = page.render(made({OURS: ok(1e-3), "fast": WRONG, "slow": ok(3e-3)}))
    assert '<td class="bad" title="differs from the reference by 3.1e-01">wrong by 0.3</td>' in html


def test_json_has_the_difference() -> None:
    (row,) = made({OURS: ok(1e-3), "fast": WRONG}).to_json()["rows"]
    assert (row["cells"]["fast"]["status"], row["cells"]["fast"]["difference"]) == ("wrong", 0.31)


def test_where_nothing_is_wrong_nothing_is_said_of_it() -> None:
    assert "wrong" not in printed(made({OURS: ok(1e-3), "slow": ok(3e-3)}), 120)


def test_wrong_comes_before_failed_and_ours_before_all() -> None:
    name = min(KIN)
    report = made(
        {OURS: ok(1e-3), "first": FAILED, "second": WRONG, name: ok(1e-3)},
        {OURS: ok(1e-3), "first": ok(1e-3), "second": ok(1e-3), name: WRONG},
    )
    heads = [failure.partition(":")[0] for failure in report.failures]
    assert heads == [
        f"{name} at T=4 B=2 I=2 H=3",
        "second at T=3 B=2 I=2 H=3",
        "first at T=3 B=2 I=2 H=3",
    ]
    assert report.own_wrong == report.failures[:1]


# The end ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"one": WRONG}, "1 of the results are wrong, the first: one at T=3 "),
        ({"one": FAILED, "two": WRONG}, "1 of the results are wrong and 1 missing, the first: two at T=3 "),
        ({"one": FAILED, "two": FAILED}, "2 of the results are missing, the first: one at T=3 "),
        (
            {"one": WRONG, OURS: WRONG},
            "lstmfast itself is wrong in 1 of its results, the first: lstmfast at T=3 ",
        ),
    ],
)
def test_what_the_end_says(cells: dict[str, dict[str, Any]], message: str) -> None:
    assert command._what_failed(made({OURS: ok(1e-3)} | cells)).startswith(message)


def test_a_run_with_wrong_results_has_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.json"
    message = (
        r"^2 of the results are wrong and 2 missing, the first: Wrong at T=3 .* \d\.\de-03 .*; 2 of 2 rows"
    )
    with pytest.raises(command.BenchError, match=message):
        command.run(CASES, engines=fakes("CannotPrepare", "Wrong"), seconds=0.002, outputs=Outputs(json=path))
    saved = json.loads(path.read_text())
    assert saved["finished"] is True
    assert len(saved["failures"]) == 4
    assert "by 0.00" in capsys.readouterr().out
