"""What suites are to show: which rows a target holds, against whom, and how it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lstmfast._bench import page, suites, targets, words
from lstmfast._bench.cases import Case, Work
from lstmfast._bench.outputs import Outputs
from lstmfast._bench.results import Report

from .helpers import printed


def gru(T: int, B: int, I: int, H: int, work: Work = "sequence", valid: int = 100) -> Case:
    return Case(T, B, I, H, work=work, cell="gru", valid=valid, suite="gru")


CASES = [
    gru(100, 1, 24, 24),
    gru(100, 4, 24, 24),
    gru(1, 1, 32, 32, work="step"),
    gru(1, 1, 40, 40, work="step"),
    gru(100, 16, 64, 64, work="train"),
    gru(100, 8, 64, 64, work="train", valid=65),
    Case(100, 1, 64, 64, suite="classic"),
]
# In each row how many times our time PyTorch takes, and JAX; None: it does not do it.
TIMES: list[tuple[float, float | None]] = [
    (4, 2),
    (9, 8),
    (8.5, None),
    (7, 20),
    (1.5, 1.7),
    (5.5, 1.1),
    (3, 9),
]
NAMES = ("lstmfast", "lstmfast.torch", "PyTorch", "JAX")


def made(cases: list[Case] = CASES, times: list[tuple[float, float | None]] = TIMES) -> Report:
    """lstmfast.torch takes twice our time in training, and does nothing else."""
    report = Report({"threads": 1, "date": "2000-01-01"}, cases)
    machine = {"lstmfast": "9.9", "CPU": "One", "CPUs usable": "2", "load": "0.10"}
    report.take({"event": "machine", "machine": machine, "isa": "avx2"})
    for name in NAMES:
        report.take({"event": "engine", "name": name, "precision": "float32", "settings": {}})
    for number, (case, theirs) in enumerate(zip(cases, times, strict=True)):
        behind = 2.0 if case.work == "train" else None
        cells = {
            name: {"status": "ok", "seconds": [one * 1e-3]} if one else {"status": "unsupported"}
            for name, one in zip(NAMES, (1.0, behind, *theirs), strict=True)
        }
        report.take({"event": "row", "row": number, "cells": cells})
    return report


def told(report: Report) -> dict[tuple[str, str], tuple[Any, bool, int]]:
    return {
        (found.engine, found.target.rows): (found.value, found.met, found.count)
        for found in targets.outcomes(report)
    }


def test_each_target_has_its_rows_its_rival_and_its_verdict() -> None:
    assert told(made()) == {
        ("lstmfast", "every row"): (pytest.approx(1.1), True, 6),
        ("lstmfast", "inference"): (pytest.approx(4.0), True, 2),  # of 2 and 8
        ("lstmfast", "single steps, H of up to 40"): (pytest.approx(7.0), False, 2),
        ("lstmfast", "training"): (pytest.approx(1.5), False, 1),
        ("lstmfast", "training with lengths, beside PackedSequence"): (pytest.approx(5.5), True, 1),
        ("lstmfast.torch", "every row"): (pytest.approx(0.55), False, 2),
        ("lstmfast.torch", "training"): (pytest.approx(0.75), False, 1),
        ("lstmfast.torch", "training with lengths, beside PackedSequence"): (pytest.approx(2.75), False, 1),
    }


def test_a_target_is_met_by_as_much_as_it_says_and_no_less() -> None:
    for factor, met in ((8.0, True), (7.9, False)):
        report = made([gru(1, 1, 24, 24, work="step")], [(factor, None)])
        assert told(report)["lstmfast", "single steps, H of up to 40"][1] is met


def test_a_report_of_other_suites_has_none() -> None:
    report = made(CASES[-1:], TIMES[-1:])
    assert targets.outcomes(report) == []
    assert targets.to_json(report) == []
    assert "aimed at" not in printed(report, 120)
    assert "Targets" not in page.render(report)


@pytest.mark.parametrize("suite", targets.TARGETS)
def test_every_target_holds_rows_of_its_suite(suite: str) -> None:
    for target in targets.TARGETS[suite]:
        assert any(target.holds(case) for case in suites.SUITES[suite]), target.rows


def test_what_is_aimed_at() -> None:
    found = {target.rows: (target.least, target.mean, target.rival) for target in targets.TARGETS["gru"]}
    assert found == {
        "every row": (1.0, False, None),
        "inference": (1.5, True, None),
        "single steps, H of up to 40": (8.0, False, None),
        "single steps, H=64": (4.0, False, None),
        "single steps, H=128": (2.0, False, None),
        "training": (1.6, True, None),
        "training with lengths, beside PackedSequence": (5.0, False, "PyTorch"),
    }
    shared = [target.rows for target in targets.TARGETS["cells"]]
    assert shared == [rows for rows in found if "lengths" not in rows and rows != "inference"]


def test_table_page_and_json_tell_them(tmp_path: Path) -> None:
    report = made()
    text = printed(report, 150)
    assert "lstmfast: single steps, H of up to 40 (2)" in text
    assert "7.00x missed" in text
    assert "1.50x in geometric mean" in text
    assert "aimed at: how many times our time" in text
    html = page.render(report)
    assert '<td>8.00x in each</td><td class="bad">7.00x missed</td><td>T=1 B=1 GRU I=40 H=40</td>' in html
    assert Outputs(json=tmp_path / "a.json").write(report) == []
    saved = json.loads((tmp_path / "a.json").read_text())["targets"]
    assert len(saved) == 8
    assert saved[4] == {
        "suite": "gru",
        "engine": "lstmfast",
        "rows": "training with lengths, beside PackedSequence",
        "rival": "PyTorch",
        "least": 5.0,
        "geometric_mean": False,
        "value": pytest.approx(5.5),
        "met": True,
        "slowest": "T=100 B=8 GRU train I=64 H=64 65 % valid",
        "count": 1,
    }


def test_an_aim_in_words() -> None:
    first, *_ = targets.outcomes(made())
    assert words.aim(first) == [
        "lstmfast: every row (6)", "1.00x in each", "1.10x", "T=100 B=8 GRU train I=64 H=64 65 % valid",
    ]  # fmt: skip
