"""lstmfast with quantised weights in `lstmfast bench`: engines, their check, their limit, their table."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstmfast._bench import command, engines, page, pictures, problem
from lstmfast._bench.cases import CELLS, WORKS, Case, Cell
from lstmfast._bench.engines import ENGINES, OURS, QUANTIZED, UnsupportedError
from lstmfast._bench.limits import Level, Limits, least_quantized_seconds, least_seconds, pass_seconds
from lstmfast._bench.outputs import Outputs
from lstmfast._bench.problem import Array, Problem
from lstmfast._bench.results import Report
from lstmfast.reference import Reference

from .helpers import printed

FLOAT16, BFLOAT16, INT8 = QUANTIZED
KINDS = {FLOAT16: "float16", BFLOAT16: "bfloat16", INT8: "int8"}


# The engines ------------------------------------------------------------------------------------------


class Model:
    """Keeps what it is told: the float32 model, and what `quantize` makes of it."""

    hidden_size = 3

    def __init__(self) -> None:
        self.told: list[Any] = []

    def load_state_dict(self, weights: object) -> None:
        self.told.append(weights)

    def quantize(self, kind: str) -> Quantized:
        self.told.append(kind)
        return Quantized(self.told)


class Quantized:
    """What can be called, and neither trained nor given other weights."""

    hidden_size = 3
    state = (np.full((1, 2, 3), 8.0), np.full((1, 2, 3), 9.0))

    def __init__(self, told: list[Any]) -> None:
        self.told = told

    def __call__(self, x: Array, **cuts: Array) -> tuple[Array, Any]:
        self.told.append(("call", x.shape, *cuts))
        return np.full((4, 2, 3), 7.0), self.state

    def stream(self, rows: int) -> Quantized:
        self.told.append(("stream", rows))
        return self

    def step(self, x: Array, out: Array) -> None:
        self.told.append(("step", x.shape, out.shape))


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Case, Model], tuple[Problem, engines.Run]]:
    """What makes an engine's run of a case with a model of the test's own."""

    def prepare(name: str, case: Case, model: Model) -> tuple[Problem, engines.Run]:
        task = problem.make(case)
        monkeypatch.setattr(problem, "model", lambda *_: model)
        return task, engines.load(ENGINES[name], 1, None).prepare(task)

    return prepare


@pytest.mark.parametrize("name", QUANTIZED)
@pytest.mark.parametrize("more", [{}, {"valid": 65}, {"reset": 20}], ids=str)
def test_the_same_weights_are_quantised_and_called(name: str, more: dict[str, int], prepared: Any) -> None:
    model = Model()
    task, run = prepared(name, Case(4, 2, 5, 3, **more), model)  # type: ignore[arg-type]
    found = {name: float(array.flat[0]) for name, array in run.results(run.call()).items()}
    assert found == {"y": 7, "h_n": 8, "c_n": 9}
    cuts = [key for key in ("lengths", "reset") if getattr(task, key) is not None]
    assert model.told == [task.weights, KINDS[name], ("call", (4, 2, 5), *cuts)]


def test_a_step_is_that_of_a_stream(prepared: Any) -> None:
    model = Model()
    task, run = prepared(INT8, Case(1, 2, 5, 3, work="step"), model)
    run.call()
    assert model.told == [task.weights, "int8", ("stream", 2), ("step", (2, 5), (2, 3))]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", QUANTIZED)
def test_training_is_declined_before_anything_is_made(name: str, cell: Cell, prepared: Any) -> None:
    model = Model()
    with pytest.raises(UnsupportedError, match=r"^inference only$"):
        prepared(name, Case(4, 2, 5, 3, work="train", cell=cell), model)
    assert model.told == []


# The check --------------------------------------------------------------------------------------------


def bfloat16(array: Array) -> Array:
    """Round to the nearest of the numbers that have 8 bits, to even where two are as near."""
    fraction, exponent = np.frexp(array)
    rounded: Array = np.ldexp(np.rint(fraction * 256) / 256, exponent).astype(np.float32)
    return rounded


ROUNDED: dict[str, Callable[[Array], Array]] = {
    "float16": lambda array: array.astype(np.float16).astype(np.float32),
    "bfloat16": bfloat16,
}
SMALL = [
    Case(100, 4, 64, 64, layers=2),
    Case(100, 4, 128, 128),
    Case(1, 1, 256, 256, work="step"),
    Case(100, 4, 128, 128, cell="rnn"),
]


@pytest.mark.parametrize("kind", ROUNDED)
@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.label.replace(" ", "-"))
def test_rounded_weights_pass_and_are_told_from_others(case: Case, kind: str) -> None:
    """No more is allowed than is needed: bfloat16 would fail with what float16 is allowed."""
    task = problem.make(case)
    weights = {
        name: ROUNDED[kind](array) if name.startswith("weight") else array
        for name, array in task.weights.items()
    }
    reference = Reference("lstm" if case.cell == "lstm" else "rnn_tanh", weights, case.layers)
    h = c = None
    for _ in range(problem.STEPS if case.goes_on else 1):
        y, (h, c), _ = reference.forward(task.x, h, c)
    assert h is not None
    found = problem.difference({"y": y, "h_n": h} | ({} if c is None else {"c_n": c}), task.truth)
    assert problem.TOLERANCES[kind] / 20 < found < problem.TOLERANCES[kind]
    assert (found > problem.TOLERANCES["float16"]) == (kind == "bfloat16")


# The limit --------------------------------------------------------------------------------------------

LEVELS = (Level("L1d", 1e3, 1000.0), Level("L2", 1e4, 100.0), Level("memory", math.inf, 10.0))


@pytest.mark.parametrize(("kind", "size"), [("float16", 2), ("bfloat16", 2), ("int8", 1)])
def test_smaller_weights_are_fewer_bytes_to_read(kind: str, size: int) -> None:
    """H=8, I=56: 256 recurrent weights, 1792 of the inputs, and all of them have passed between calls."""
    limits = Limits(1e9, LEVELS)
    for T in (1, 10):
        once = pass_seconds(2048 * size, LEVELS) * (1792 if T > 1 else 2048) / 2048
        each = T * pass_seconds(256 * size, LEVELS) if T > 1 else 0
        found = least_quantized_seconds(Case(T, 1, 56, 8), limits, kind)
        assert found == pytest.approx(once + each)
        assert found is not None
        assert found < least_seconds(Case(T, 1, 56, 8), limits)


def test_products_of_wide_arithmetic_bind_as_ever_and_those_of_int8_are_not_known() -> None:
    limits = Limits(1.0, LEVELS)
    for work in WORKS[:-1]:
        case = Case(10 if work == "sequence" else 1, 64, 8, 8, work=work)
        for kind in ("float16", "bfloat16"):
            assert least_quantized_seconds(case, limits, kind) == pytest.approx(least_seconds(case, limits))
        assert least_quantized_seconds(case, limits, "int8") is None
    one = Case(10, 1, 8, 8)
    assert least_seconds(one, limits) == pytest.approx(one.flops / 1e9)
    reading = pass_seconds(512, LEVELS) / 2 + 10 * pass_seconds(256, LEVELS)
    assert least_quantized_seconds(one, limits, "int8") == pytest.approx(reading)


def test_without_caches_nothing_is_claimed_of_int8() -> None:
    limits = Limits(2.0, ())
    case = Case(10, 1, 8, 8)
    assert least_quantized_seconds(case, limits, "float16") == pytest.approx(case.flops / 2e9)
    assert least_quantized_seconds(case, limits, "int8") is None


# The report -------------------------------------------------------------------------------------------

CASES = [
    Case(100, 1, 512, 512, suite="quantized"),
    Case(100, 16, 512, 512, suite="quantized"),
    Case(1, 1, 64, 64, work="step", suite="step"),
    Case(9, 1, 64, 64, work="train", suite="train"),
]
PRECISIONS = {
    OURS: "float32",
    **KINDS,
    "PyTorch": "float32",
    "ONNX Runtime": "float32",
    "PyTorch int8": "int8",
    "ONNX Runtime int8": "int8",
}
UNSUPPORTED = {"status": "unsupported", "note": "inference only"}


def ok(seconds: float) -> dict[str, Any]:
    return {"status": "ok", "difference": 1e-4, "calls": 3, "seconds": [2 * seconds, seconds], "cpus": 1.0}


def cells(*milliseconds: float) -> dict[str, Any]:
    return {name: ok(1e-3 * time) for name, time in zip(PRECISIONS, milliseconds, strict=True)}


ROWS = [
    #     ours  f16  bf16  int8  PyT  ONNX PyT8 ONNX8
    cells(8.00, 4.0, 5.00, 2.00, 16., 12., 6.0, 3.00),
    cells(20.0, 16., 25.0, 10.0, 30., 40., 8.0, 1.00)  # the fastest int8 engine is wrong
    | {"ONNX Runtime int8": {"status": "wrong", "note": "differs"}},
    cells(1.00, 1.0, 1.00, 1.00, 2.0, 3.0, 4.0, 5.00)
    | {BFLOAT16: {"status": "failed", "note": "RuntimeError: no <luck>"}},
    cells(1.00, 1.0, 1.00, 1.00, 2.0, 3.0, 4.0, 5.00) | dict.fromkeys(QUANTIZED, UNSUPPORTED),
]  # fmt: skip


def held(report: Report, row: int, name: str) -> dict[str, Any]:
    """`references`, as what a tolerance can be compared with."""
    return {**report.references(report.rows[row], name)}


def made(rows: list[dict[str, Any]] = ROWS) -> Report:
    report = Report({"threads": 1, "date": "2000-01-01", "command": ["lstmfast", "bench"]}, CASES)
    for name, precision in PRECISIONS.items():
        report.take(
            {
                "event": "engine",
                "name": name,
                "precision": precision,
                "missing": None,
                "settings": {"threads": "1"},
            }
        )
    levels = [
        {"name": "L1d", "capacity": 32768, "gbps": 100.0},
        {"name": "memory", "capacity": None, "gbps": 10.0},
    ]
    report.take({"event": "limits", "gflops": 100.0, "levels": levels})
    machine = {"lstmfast": "9.9", "CPU": "One", "CPUs usable": "2", "load": "0.10"}
    report.take({"event": "machine", "machine": machine, "isa": "avx2"})
    for number, values in enumerate(rows):
        report.take({"event": "row", "row": number, "cells": values})
    report.take({"event": "end"})
    return report


@pytest.fixture
def report() -> Report:
    return made()


def test_rivals_have_the_same_precision_and_are_not_ours(report: Report) -> None:
    assert report.rivals() == ["PyTorch", "ONNX Runtime"]
    assert report.rivals("int8") == ["PyTorch int8", "ONNX Runtime int8"]
    assert report.rivals("float16") == report.rivals("bfloat16") == []
    # Ours is faster in every kind, and int8 of others, too.
    fastest = [report.fastest_other(row) for row in report.rows]
    assert fastest == ["ONNX Runtime", "PyTorch", "PyTorch", "PyTorch"]
    assert report.ratio(report.rows[0]) == pytest.approx(12 / 8)
    assert report.quantized == KINDS
    assert report.others == ["PyTorch", "ONNX Runtime", "PyTorch int8", "ONNX Runtime int8"]


def test_each_kind_is_held_against_float32_and_int8_against_int8(report: Report) -> None:
    assert held(report, 0, FLOAT16) == {
        OURS: (OURS, pytest.approx(8 / 4)),
        "fastest_other": ("ONNX Runtime", pytest.approx(12 / 4)),
        "fastest_other_int8": (None, None),
    }
    assert held(report, 0, INT8) == {
        OURS: (OURS, pytest.approx(8 / 2)),
        "fastest_other": ("ONNX Runtime", pytest.approx(12 / 2)),
        "fastest_other_int8": ("ONNX Runtime int8", pytest.approx(3 / 2)),
    }
    assert held(report, 1, BFLOAT16)[OURS] == (OURS, pytest.approx(20 / 25))
    # A wrong rival is none.
    assert held(report, 1, INT8)["fastest_other_int8"] == ("PyTorch int8", pytest.approx(8 / 10))
    # Without a time there is no ratio.
    assert held(report, 2, BFLOAT16)["fastest_other"] == ("PyTorch", None)


def test_means_are_of_each_kind_in_each_suite(report: Report) -> None:
    assert {suite: len(rows) for suite, rows in report.quantized_suites.items()} == {
        "quantized": 2,
        "step": 1,
    }
    rows = report.quantized_suites["quantized"]
    assert report.mean_references(rows, INT8) == {
        OURS: pytest.approx(math.sqrt(4 * 2)),
        "fastest_other": pytest.approx(math.sqrt(6 * 3)),
        "fastest_other_int8": pytest.approx(math.sqrt(1.5 * 0.8)),
    }
    means = report.mean_references(rows, FLOAT16)
    assert means["fastest_other"] == pytest.approx(math.sqrt(3 * 30 / 16))
    assert math.isnan(means["fastest_other_int8"])
    # Those of our float32 are what they are without any quantised engine.
    assert report.mean_ratio(rows) == pytest.approx(math.sqrt(1.5 * 1.5))


def test_the_part_of_the_limit_is_that_of_the_smaller_weights(report: Report) -> None:
    assert report.limits is not None
    first, second, _, trained = report.rows
    for name, seconds in ((FLOAT16, 4e-3), (INT8, 2e-3)):
        least = least_quantized_seconds(first.case, report.limits, KINDS[name])
        assert least is not None
        assert report.reached_quantized(first, name) == pytest.approx(least / seconds)
    assert report.reached_quantized(second, INT8) is None
    assert report.reached_quantized(second, FLOAT16) is not None
    assert report.reached_quantized(trained, FLOAT16) is None


def test_the_table_names_what_each_kind_is_held_against(report: Report) -> None:
    text = printed(report, 132)
    main, own = text.split("quantised ", 1)
    assert not any(name in main.replace("\n", " ") for name in QUANTIZED)
    assert re.search(r"\nT=100 B=1 +float16 +4\.00ms +\d+% +2\.00x +3\.00x ONNX Runtime +- *\n", own)
    assert re.search(r"\nI=512 H=512 +bfloat16 +5\.00ms +\d+% +1\.60x +2\.40x ONNX Runtime +- *\n", own)
    assert re.search(
        r"\n +int8 +2\.00ms +\d+% +4\.00x +6\.00x ONNX Runtime +1\.50x ONNX Runtime int8 *\n", own
    )
    assert re.search(r"\n +int8 +10\.0ms +- +2\.00x +3\.00x PyTorch +0\.80x PyTorch int8 *\n", own)
    assert re.search(r"\nI=64 H=64 +bfloat16 +failed +- +- +- +- *\n", own)
    assert re.search(r"\ngeometric mean +float16 +1\.58x +2\.37x +- *\n", own)
    assert re.search(r"\n +int8 +2\.83x +4\.24x +1\.10x *\n", own)
    assert "T=9" not in own[: own.index("Times are")]
    assert "quantised weights: lstmfast with smaller ones, never the fastest other engine" in text
    assert "PyTorch int8, ONNX Runtime int8: another precision" in text
    assert "behind PyTorch" not in text


def test_the_table_fits_into_100_columns_beside_the_longest_names() -> None:
    report = made(ROWS[:1])
    report.engines[list(PRECISIONS).index("ONNX Runtime")].name = "ONNX Runtime bound"
    (row,) = report.rows
    row.case = Case(100, 16, 1024, 1024, suite="quantized")
    row.cells["ONNX Runtime bound"] = row.cells.pop("ONNX Runtime")
    row.cells[INT8].seconds = [0.1e-3]
    text = printed(report, 100)
    own = text[text.index("quantised ") : text.index("Times are")]
    assert re.search(r" int8 +100us +- +80\.0x +120x ONNX Runtime bound +30\.0x ONNX Runtime int8\n", own)
    assert max(map(len, own.splitlines())) <= 100
    assert "…" not in text


def test_a_report_without_quantised_engines_says_nothing_of_them(report: Report) -> None:
    report.engines = [engine for engine in report.engines if engine.name not in QUANTIZED]
    for row in report.rows:
        row.cells = {name: cell for name, cell in row.cells.items() if name not in QUANTIZED}
    assert "uantised" not in printed(report, 132) + page.render(report)
    saved = report.to_json()
    assert saved["quantized_geometric_means"] == {}
    assert all(row["quantized"] == {} for row in saved["rows"])


def test_json_has_each_reference_by_name(report: Report) -> None:
    saved = json.loads(json.dumps(report.to_json(), allow_nan=False))
    first, second, third, trained = saved["rows"]
    int8 = first["quantized"][INT8]
    assert int8["weights"] == "int8"
    assert int8["limit_reached"] == pytest.approx(int8["limit_seconds"] / 2e-3)
    assert int8["references"] == {
        OURS: {"engine": OURS, "ratio": pytest.approx(4.0)},
        "fastest_other": {"engine": "ONNX Runtime", "ratio": pytest.approx(6.0)},
        "fastest_other_int8": {"engine": "ONNX Runtime int8", "ratio": pytest.approx(1.5)},
    }
    assert (first["fastest_other"], first["ratio"]) == ("ONNX Runtime", pytest.approx(1.5))
    assert first["cells"][INT8]["ratio"] == pytest.approx(2 / 8)  # as of every engine: its time over ours
    assert second["quantized"][INT8]["limit_seconds"] is None
    assert third["quantized"][BFLOAT16]["references"][OURS]["ratio"] is None
    assert trained["quantized"][FLOAT16]["limit_reached"] is None
    means = saved["quantized_geometric_means"]
    assert list(means) == ["quantized", "step"]
    assert means["quantized"][FLOAT16] == {
        OURS: pytest.approx(math.sqrt(2 * 1.25)),
        "fastest_other": pytest.approx(math.sqrt(3 * 30 / 16)),
        "fastest_other_int8": None,
    }
    assert means["step"][BFLOAT16] == dict.fromkeys(means["step"][BFLOAT16])


def test_the_page_has_the_same_table(report: Report) -> None:
    html = page.render(report)
    main, own = html.split("<h2>Quantised weights</h2>")
    assert not any(f"<th>{name}</th>" in main for name in QUANTIZED)
    own = own[: own.index("</table>")]
    assert own.count("<tr>") == 1 + 3 * 3
    assert own.count('<tr class="mean">') == 2 * 3
    found = re.search(r"<td>T=100 B=1 I=512 H=512</td><td>int8</td><td [^>]*>2\.00ms</td>(.*?)</tr>", own)
    assert found is not None
    assert re.fullmatch(
        r"<td>\d+%</td><td>4\.00x</td><td>6\.00x ONNX Runtime</td><td>1\.50x ONNX Runtime int8</td>", found[1]
    )
    assert '<td class="bad" title="RuntimeError: no &lt;luck&gt;">failed</td>' in own
    assert "T=9" not in own


def test_the_picture_has_a_mark_of_each_kind(report: Report) -> None:
    shown = "\n".join(re.findall(r"<!-- (.*) -->", pictures.speedups(report).decode()))
    assert all(name in shown for name in QUANTIZED)
    assert len({pictures.COLORS[name] for name in QUANTIZED}) == 3


# A whole run ------------------------------------------------------------------------------------------


def test_a_run_with_engines_of_each_precision(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {
        OURS: ENGINES[OURS],
        FLOAT16: "tests.bench.fakes:Float16",
        INT8: "tests.bench.fakes:WrongInt8",
        "good": "tests.bench.fakes:Good",
        "other int8": "tests.bench.fakes:WrongInt8",
    }
    path = tmp_path / "a.json"
    cases = [Case(1, 1, 20, 20, work="step"), Case(5, 1, 20, 20), Case(5, 2, 20, 20)]
    command.run(cases, engines=names, seconds=0.002, outputs=Outputs(json=path))
    saved = json.loads(path.read_text())
    for row in saved["rows"]:
        assert row["fastest_other"] == "good"
        half, small = row["quantized"][FLOAT16], row["quantized"][INT8]
        for key, engine in ((OURS, OURS), ("fastest_other", "good"), ("fastest_other_int8", "other int8")):
            found = small["references"][key]
            ratio = row["cells"][engine]["best"] / row["cells"][INT8]["best"]
            assert found == {"engine": engine, "ratio": pytest.approx(ratio)}
        assert half["references"]["fastest_other_int8"] == {"engine": None, "ratio": None}
    out = capsys.readouterr().out
    assert "quantised weights" in out
    assert re.search(r"\d(ms|us) .* \d\S*x good +\d\S*x other int8 *\n", out)
