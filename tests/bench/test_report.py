"""What follows from the measurements, and how it is told: table, pictures, page, JSON."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread
from rich.console import Console

from lstmfast._bench import page, pictures, suites, table, words
from lstmfast._bench.cases import Case
from lstmfast._bench.engines import KIN
from lstmfast._bench.latency import Latency
from lstmfast._bench.limits import least_seconds
from lstmfast._bench.outputs import Outputs, UnwritableError
from lstmfast._bench.results import Report

from .helpers import printed

CASES = [
    Case(100, 1, 64, 64, suite="classic"),
    Case(100, 16, 64, 64, suite="classic"),
    Case(1, 1, 1, 20, work="step", suite="step"),
]
MACHINE = {
    "lstmfast": "9.9",
    "CPU": "A <b>fast</b> one",
    "CPUs usable": "2",
    "load": "0.10",
}


def ok(*seconds: float, cpus: float = 1.0) -> dict[str, Any]:
    return {"status": "ok", "difference": 1e-7, "calls": 3, "seconds": list(seconds), "cpus": cpus}


def limits(gflops: float, l1: float) -> dict[str, Any]:
    levels = [
        {"name": "L1d", "capacity": 32768, "gbps": l1},
        {"name": "memory", "capacity": None, "gbps": 10.0},
    ]
    return {"event": "limits", "gflops": gflops, "levels": levels}


THERE = {"lstmfast": "float32", "NumPy": "float32", "PyTorch": "float32", "PyTorch int8": "int8"}
PRESENT = {"missing": None, "version": "1.2", "settings": {"threads": "1"}}
EVENTS: list[dict[str, Any]] = [
    {"event": "environment", "variables": {"OMP_NUM_THREADS": "1"}},
    {"event": "machine", "machine": MACHINE, "isa": "avx2"},
    {"event": "at", "doing": "loading lstmfast"},
    *({"event": "engine", "name": name, "precision": kind, **PRESENT} for name, kind in THERE.items()),
    {"event": "engine", "name": "JAX", "precision": "float32", "missing": "jax is not installed"},
    limits(100.0, 80.0),
    {
        "event": "row",
        "row": 0,
        "cells": {
            "lstmfast": ok(2e-4, 3e-4, 9e-4),
            "NumPy": ok(8e-4, 8e-4, 9e-4),
            "PyTorch": ok(4e-4, 5e-4, 6e-4, cpus=1.9),
            "PyTorch int8": ok(1e-4, 1e-4, 1e-4),
        },
    },
    {
        "event": "row",
        "row": 1,
        "cells": {
            "lstmfast": ok(2e-3),
            "NumPy": ok(1e-3),
            "PyTorch": {"status": "wrong", "note": "differs <by> 0.5"},
            "PyTorch int8": {"status": "unsupported", "note": "inference only"},
        },
    },
    {
        "event": "row",
        "row": 2,
        "cells": {
            "lstmfast": ok(1e-6),
            "NumPy": {"status": "failed", "note": "RuntimeError: broken"},
            "PyTorch": {"status": "failed", "note": "RuntimeError: broken"},
            "PyTorch int8": ok(2e-6),
        },
    },
    limits(90.0, 160.0),
    {"event": "end"},
]  # fmt: skip


def made(events: list[dict[str, Any]] = EVENTS) -> Report:
    report = Report({"threads": 1, "date": "2000-01-01", "command": ["lstmfast", "bench"]}, CASES)
    for event in events:
        report.take(event)
    return report


@pytest.fixture
def report() -> Report:
    return made()


# What follows ----------------------------------------------------------------------------------------


def test_best_and_median(report: Report) -> None:
    cell = report.rows[0].cells["lstmfast"]
    assert (cell.best, cell.median) == (2e-4, 3e-4)


def test_ratios_come_from_the_best(report: Report) -> None:
    row = report.rows[0]
    assert row.ratio("NumPy") == pytest.approx(4.0)
    assert row.ratio("PyTorch") == pytest.approx(2.0)
    assert report.rows[1].ratio("PyTorch") is None


def test_the_fastest_other_is_right_and_float32(report: Report) -> None:
    assert [report.fastest_other(row) for row in report.rows] == ["PyTorch", "NumPy", None]
    assert [report.ratio(row) for row in report.rows] == [pytest.approx(2.0), pytest.approx(0.5), None]
    assert report.rivals() == ["NumPy", "PyTorch"]
    for name in KIN:  # they are ours
        report.take({"event": "engine", "name": name, "precision": "float32", **PRESENT})
    assert report.rivals() == ["NumPy", "PyTorch"]
    assert set(report.names) >= KIN


def test_the_best_probes_count(report: Report) -> None:
    assert report.limits is not None
    assert report.limits.gflops == 100.0
    assert [level.gbps for level in report.limits.levels] == [160.0, 10.0]


def test_the_part_of_the_limit(report: Report) -> None:
    assert report.limits is not None
    row = report.rows[0]
    assert report.reached(row) == pytest.approx(least_seconds(row.case, report.limits) / 2e-4)
    assert report.gflops(row) == pytest.approx(row.case.flops / 2e-4 / 1e9)


def test_means_are_geometric_and_by_suite(report: Report) -> None:
    classic = report.suites["classic"]
    assert report.mean_ratio(classic) == pytest.approx(1.0)
    assert report.mean_ratio(classic, "NumPy") == pytest.approx((4.0 * 0.5) ** 0.5)
    assert report.mean_ratio(classic, "PyTorch") == pytest.approx(2.0)  # of the rows where it has a time
    assert [row.case for row in report.suites["step"]] == CASES[2:]


def test_failures_and_remarks(report: Report) -> None:
    assert report.failures == [
        "PyTorch at T=100 B=16 I=64 H=64: wrong: differs <by> 0.5",
        "NumPy at T=1 B=1 I=1 H=20: failed: RuntimeError: broken",
        "PyTorch at T=1 B=1 I=1 H=20: failed: RuntimeError: broken",
    ]
    assert report.remarks == ["PyTorch: up to 1.9 CPUs were busy while it ran with 1 thread(s)"]


# JSON ------------------------------------------------------------------------------------------------


def test_json_has_everything(report: Report) -> None:
    saved = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert saved["finished"] is True
    assert saved["machine"] == MACHINE
    assert saved["settings"]["environment"] == {"OMP_NUM_THREADS": "1"}
    assert [engine["name"] for engine in saved["engines"]] == [
        "lstmfast",
        "NumPy",
        "PyTorch",
        "PyTorch int8",
        "JAX",
    ]
    assert saved["engines"][-1]["missing"] == "jax is not installed"
    assert len(saved["probes"]) == 2
    assert saved["limits"]["levels"][1] == {"name": "memory", "capacity": None, "gbps": 10.0}
    row = saved["rows"][0]
    assert {key: row[key] for key in "TBIH"} == {"T": 100, "B": 1, "I": 64, "H": 64}
    assert row["fastest_other"] == "PyTorch"
    assert row["ratio"] == pytest.approx(2.0)
    assert row["cells"]["lstmfast"]["seconds"] == [2e-4, 3e-4, 9e-4]
    assert row["cells"]["NumPy"]["median"] == 8e-4
    assert saved["rows"][2]["ratio"] is None
    assert saved["geometric_means"]["classic"]["fastest_other"] == pytest.approx(1.0)
    assert saved["geometric_means"]["step"]["NumPy"] is None
    assert saved["failures"] == report.failures


# The terminal ----------------------------------------------------------------------------------------


def test_the_table(report: Report) -> None:
    text = printed(report, 120)
    assert re.search(r"T=100 B=1 +200us +\d+% +2\.00x +800us +400us +100us", text)
    assert re.search(r"I=64 H=64 +32\.8 +4\.00x +2\.00x\* +0\.50x", text)
    assert re.search(r"T=100 B=16 +2\.00ms +\d+% +0\.50x +1\.00ms +wrong +-", text)
    assert re.search(r"T=1 B=1 +1\.00us +\d+% +- +failed +failed +2\.00us", text)
    assert re.search(r"geometric mean +1\.00x +1\.41x +2\.00x +0\.50x", text)
    assert re.search(r"all rows +1\.00x +1\.41x +2\.00x +1\.00x", text)
    assert "JAX: not measured: jax is not installed" in text
    assert "NumPy at T=1 B=1 I=1 H=20: failed: RuntimeError: broken" in text
    assert "100 GFLOP/s" in text
    assert "L1d 160, memory 10" in text


def test_nine_engines_fit_into_120_columns_and_float32_ones_into_100() -> None:
    names = ["lstmfast", "NumPy", "PyTorch", "ONNX Runtime", "ONNX Runtime bound", "OpenVINO", "JAX"]
    precisions = {**dict.fromkeys(names, "float32"), "PyTorch int8": "int8", "ONNX Runtime int8": "int8"}
    cases = suites.select(["all"])
    events = [event for event in EVENTS if event["event"] not in {"row", "engine"}]
    for name, precision in precisions.items():
        events.append({"event": "engine", "name": name, "precision": precision, "settings": {}})
    for k in range(len(cases)):
        events.append({"event": "row", "row": k, "cells": {name: ok(1.239e-3) for name in precisions}})
    report = Report({"threads": 1, "date": ""}, list(cases))
    for event in events:
        report.take(event)
    for width, int8 in ((120, 2), (100, 0)):
        text = printed(report, width)
        body = text[: text.index("Times are")].splitlines()[2:]
        assert max(map(len, body)) <= width
        assert "…" not in text
        assert text[: text.index("───")].count("int8") == int8
        assert text.count("L=3 D=2") == 4


def test_a_row_with_lengths_says_so_and_how_to_read_it(report: Report) -> None:
    assert "% valid" not in printed(report, 120)
    report.rows[1].case = Case(100, 16, 64, 64, work="train", cell="rnn", valid=65, suite="classic")
    text = printed(report, 120)
    assert re.search(r"\nT=100 B=16 RNN train .*\nI=64 H=64 .*\n65 % valid *\n", text)
    assert "% valid: rows of different lengths" in text
    assert "T=100 B=16 RNN train I=64 H=64 65 % valid" in page.render(report)
    assert "T=100 B=16 RNN train I=64 H=64 65 % valid" in texts(pictures.speedups(report))
    saved = report.to_json()["rows"][1]
    assert (saved["cell"], saved["valid"], saved["flops"]) == ("rnn", 65, 3 * 1040 * 2 * 64 * 128)
    assert saved["gflops"] == pytest.approx(saved["flops"] / 2e-3 / 1e9)


def test_a_row_with_starts_or_a_small_tape_says_so_and_how_to_read_it(report: Report) -> None:
    assert "reset" not in printed(report, 120)
    assert "recompute" not in printed(report, 120)
    report.rows[1].case = Case(100, 16, 64, 64, work="train", reset=1, recompute=True, suite="classic")
    report.rows[1].cells["lstmfast"].tape_bytes = 4096
    text = printed(report, 120)
    assert re.search(r"\nT=100 B=16 train .*\nI=64 H=64 .*\nreset 1 % *\nrecompute *\n", text)
    assert "reset n %: at n % of the T*B places a row starts anew" in text
    assert "recompute: lstmfast keeps no gates" in text
    assert "T=100 B=16 train I=64 H=64 reset 1 % recompute" in page.render(report)
    saved = report.to_json()["rows"][1]
    assert (saved["reset"], saved["recompute"], saved["flops"]) == (1, True, 3 * 1600 * 2 * 4 * 64 * 128)
    assert saved["cells"]["lstmfast"]["tape_bytes"] == 4096
    assert report.to_json()["rows"][0]["cells"]["lstmfast"]["tape_bytes"] is None


def test_latencies_are_told(report: Report) -> None:
    assert "p99" not in printed(report, 120) + page.render(report)
    row = report.rows[2]
    row.cells["lstmfast"].latency = Latency(100_000, 4e-7, 5e-7, 6.5e-6)
    row.cells["PyTorch"].latency = Latency(12_345, 40e-6, 50e-6, 650e-6)
    text = printed(report, 120)
    assert re.search(r"\nT=1 B=1 I=1 H=20 +lstmfast +100,000 +0.40us +0.50us +6.50us", text)
    assert re.search(r"\n +PyTorch +12,345 +40.0us +50.0us +650us", text)
    assert "p50, p99, p99.9: within this time" in text
    html = page.render(report)
    assert "<h2>Single calls</h2>" in html
    assert "<td>lstmfast</td><td>100,000</td><td>0.40us</td><td>0.50us</td><td>6.50us</td>" in html
    saved = json.loads(json.dumps(report.to_json()))["rows"][2]["cells"]["lstmfast"]["latency"]
    assert saved == {"calls": 100_000, "p50": 4e-7, "p99": 5e-7, "p999": 6.5e-6}


def test_markup_in_a_message_is_text(report: Report) -> None:
    report.rows[1].cells["PyTorch"].note = "[red]bad[/red]"
    assert "[red]bad[/red]" in printed(report, 200)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.234e-7, "0.12us"),
        (9.99e-6, "9.99us"),
        (9.996e-6, "10.0us"),
        (12.34e-6, "12.3us"),
        (123.4e-6, "123us"),
        (0.99949e-3, "999us"),
        (0.9996e-3, "1.00ms"),
        (0.1234, "123ms"),
        (0.9996, "1.00s"),
        (12.0, "12.0s"),
    ],
)
def test_times(seconds: float, text: str) -> None:
    assert words.time(seconds) == text


def test_the_bar_draws_only_when_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []

    def console(**_: object) -> Console:
        return Console(file=io.StringIO(), force_terminal=True, width=100)

    monkeypatch.setattr(table, "Console", console)
    with table.progress(3) as show:
        show(1, "[classic] T=1: PyTorch")
        drawn.append("told")
    assert drawn
    out = capsys.readouterr()
    assert out.out == out.err == ""


# Pictures and page -----------------------------------------------------------------------------------


def test_the_picture_is_one(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "both.png"
    path.write_bytes(pictures.both(report, "png"))
    height, width, _ = imread(path).shape
    assert width > height > 500


def texts(svg: bytes) -> str:
    """What an SVG shows in letters: matplotlib leaves them beside their outlines, as comments."""
    return "\n".join(re.findall(r"<!-- (.*) -->", svg.decode()))


def test_speedups_show_every_row_and_engine(report: Report) -> None:
    shown = texts(pictures.speedups(report))
    for words_of_it in (*(case.label for case in CASES), "NumPy", "PyTorch int8", "avx2"):
        assert words_of_it in shown
    assert "JAX" not in shown


def test_roofline_shows_every_level(report: Report) -> None:
    shown = texts(pictures.roofline(report))
    for words_of_it in ("multiply-adds 100", "L1d 160 GB/s", "memory 10 GB/s", "lstmfast", "fastest other"):
        assert words_of_it in shown


class Parsed(HTMLParser):
    """What a page shows and what it asks for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in {"meta", "img"}:
            self.open.append(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def test_the_page_is_whole_and_fetches_nothing(report: Report) -> None:
    html = page.render(report)
    parsed = Parsed(html)
    assert len(parsed.sources) == 2
    assert all(source.startswith("data:image/svg+xml;base64,") for source in parsed.sources)
    assert not parsed.tags & {"script", "link", "b2"}
    assert "@import" not in html
    assert "url(" not in html
    for words_of_it in (
        "A <b>fast</b> one",
        "classic",
        "step",
        "jax is not installed",
        "differs <by> 0.5",
        "2.00x",
    ):
        assert words_of_it in parsed.text
    assert parsed.text.count("T=100 B=1 I=64 H=64") == 1


def test_a_report_without_rows_or_limits_can_be_told() -> None:
    for events in ([], EVENTS[:2], EVENTS[:-5], EVENTS[:9]):
        report = made(events)
        json.dumps(report.to_json(), allow_nan=False)
        assert pictures.both(report, "png")
        assert "<h1>" in page.render(report)


def test_unknown_caches_can_be_told() -> None:
    events = [{**event, "levels": []} if event["event"] == "limits" else event for event in EVENTS]
    assert "caches are not known" in printed(made(events), 120)
    assert pictures.roofline(made(events))


# Files -----------------------------------------------------------------------------------------------


def test_all_outputs(report: Report, tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "a.json", tmp_path / "a.png", tmp_path / "a.html")
    outputs.check()
    assert list(tmp_path.iterdir()) == []
    assert outputs.write(report) == []
    assert json.loads((tmp_path / "a.json").read_text())["format"] == 1
    assert imread(tmp_path / "a.png").shape[2] == 4
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("name", "begin"), [("a.svg", b"<?xml"), ("a.pdf", b"%PDF"), ("a", b"\x89PNG"), ("a.x", b"\x89PNG")]
)
def test_a_picture_is_what_its_name_says(name: str, begin: bytes, report: Report, tmp_path: Path) -> None:
    assert Outputs(plot=tmp_path / name).write(report) == []
    assert (tmp_path / name).read_bytes().startswith(begin)


def test_a_check_keeps_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    Outputs(json=path).check()
    assert path.read_text() == "old"


@pytest.mark.parametrize("name", ["", "none/a.json", "a\0b"])
def test_a_path_that_cannot_be(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnwritableError, match=r"^--html: cannot write to"):
        Outputs(html=tmp_path / name).check()


def test_one_that_fails_does_not_keep_the_others(report: Report, tmp_path: Path) -> None:
    outputs = Outputs(json=tmp_path / "none" / "a.json", html=tmp_path / "a.html")
    (wrong,) = outputs.write(report)
    assert wrong.startswith("--json: cannot write to")
    assert (tmp_path / "a.html").exists()
