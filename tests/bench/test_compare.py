"""`compare`: earlier revisions beside this one, and when this one counts as slower."""

from __future__ import annotations

import ast
import json
import math
import shlex
import sys
from pathlib import Path

import pytest

from lstmfast._bench import compare, comparison, peer, pictures
from lstmfast._bench.asked import AskedError
from lstmfast._bench.cases import Case
from lstmfast._bench.comparison import SHAPES, THIS, TWIN, Comparison, Limits, Row, Shape
from lstmfast._bench.revisions import Revision

LIMITS = Limits(row=0.05, mean=0.02, noise=0.03)
SMALL = (
    Shape(Case(5, 2, 3, 8)),
    Shape(Case(1, 2, 3, 8, work="step")),
    Shape(Case(5, 2, 3, 8, 2, 2, work="train")),
    Shape(Case(5, 2, 3, 8, cell="gru")),
    Shape(Case(5, 2, 3, 8), "int8"),
)


def made(*rows: tuple[float, float, float]) -> Comparison:
    """Of the times of a revision, of this one and of this one again, a row each; all launches alike."""
    found = Comparison(["old"])
    for k, (old, this, again) in enumerate(rows):
        row = Row(SHAPES[k], {"old": [old] * 3, THIS: [this] * 3, TWIN: [again] * 3}, {"old": True})
        found.rows.append(row)
    return found


# What counts as slower.


def test_the_same_is_not_slower() -> None:
    same = made(*[(1.0, 1.0, 1.0)] * 5)
    assert same.slower(LIMITS) == []
    assert not same.too_noisy(LIMITS)
    assert same.mean("old") == pytest.approx(1)


def test_a_row_is_slower() -> None:
    rows = [(1.0, 1.0, 1.0)] * 4
    assert made((1.0, 1.04, 1.04), *rows).slower(LIMITS) == []
    (said,) = made((1.0, 1.07, 1.07), *rows).slower(LIMITS)
    assert SHAPES[0].label in said
    assert "1.070" in said


def test_all_rows_are_a_little_slower() -> None:
    (said,) = made(*[(1.0, 1.03, 1.03)] * 5).slower(LIMITS)
    assert said.startswith("all rows")
    assert made(*[(1.0, 1.015, 1.015)] * 5).slower(LIMITS) == []


def test_faster_rows_do_not_hide_one_that_is_slower() -> None:
    (said,) = made((1.0, 1.2, 1.2), *[(1.0, 0.8, 0.8)] * 4).slower(LIMITS)
    assert SHAPES[0].label in said


def test_noise_of_a_row_is_forgiven_there_and_nowhere_else() -> None:
    # 1.08 is within 1.05 times the 1.06 by which the same revision is apart from itself.
    apart = made((1.0, 1.08, 1.08 * 1.06), *[(1.0, 1.0, 1.0)] * 9)
    assert apart.slower(LIMITS) == []
    (said,) = made((1.0, 1.08, 1.08 * 1.06), (1.0, 1.08, 1.08), *[(1.0, 1.0, 1.0)] * 18).slower(LIMITS)
    assert SHAPES[1].label in said


def test_a_machine_that_is_too_busy_decides_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    busy = made(*[(1.0, 1.0, 1.1)] * 5)
    assert busy.too_noisy(LIMITS)
    assert compare.judge(busy, LIMITS) == compare.UNDECIDED
    assert "UNDECIDED" in capsys.readouterr().out
    assert compare.judge(made(*[(1.0, 2.0, 2.0)] * 5), LIMITS) == compare.SLOWER
    assert compare.judge(made(*[(1.0, 1.0, 1.0)] * 5), LIMITS) == 0


def test_nothing_measured_is_no_pass() -> None:
    assert compare.judge(Comparison(["old"], rows=[Row(SHAPES[0])]), LIMITS) == compare.UNDECIDED
    lacking = made((1.0, 1.0, 1.0))
    del lacking.rows[0].best["old"]
    assert compare.judge(lacking, LIMITS) == compare.SLOWER


def test_the_noise_is_the_most_of_any_launch() -> None:
    row = Row(SHAPES[0], {THIS: [1.0, 1.0, 1.0], TWIN: [1.0, 0.9, 1.05]})
    assert row.noise == pytest.approx(-math.log(0.9))
    assert Comparison([], rows=[row]).noise == pytest.approx(-math.log(0.9))
    assert Row(SHAPES[0]).noise == math.inf


def test_the_table_says_what_there_is() -> None:
    found = made((1.0, 1.25, 1.25), (2.0, 1.0, 1.0))
    found.rows[0].same_bits["old"] = False
    found.rows[1].best["old"] = []
    found.rows[1].notes["old"] = "it has no streams"
    lines = found.table()
    assert "1.250 (1.250 to 1.250), other bits" in lines[2]
    assert "it has no streams" in lines[3]
    assert "**1.250**" in lines[4]
    assert len({len(line) for line in lines}) == 1


def test_the_list_of_shapes() -> None:
    assert {shape.group for shape in SHAPES} == set(comparison.GROUPS)
    assert len({shape.label for shape in SHAPES}) == len(SHAPES)


# Revisions in processes of their own.


def revision(name: str, python: str | Path = sys.executable) -> compare.Made:
    return lambda: Revision(name, str(python), 1, sys.path)


def changed(folder: Path, text: str) -> Path:
    """A Python whose lstmfast, called `real`, is changed by `text`, however it is installed."""
    folder.mkdir()
    first = f"import runpy, sys\nsys.path[:] = {sys.path!r}\nimport lstmfast as real\n"
    then = "runpy.run_path(sys.argv[-1], run_name='__main__')\n"
    (folder / "first.py").write_text(f"{first}{text}\n{then}")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, str(folder / "first.py")])} "$@"\n')
    python.chmod(0o755)
    return python


SLOW = """
class LSTM(real.LSTM):
    def __call__(self, *arguments, **named):
        for _ in range(20):
            super().__call__(*arguments, **named)
        return super().__call__(*arguments, **named)
real.LSTM = LSTM
"""
EARLY = """
class LSTM(real.LSTM):
    @property
    def stream(self): raise AttributeError
    @property
    def quantize(self): raise AttributeError
real.LSTM = LSTM
del real.GRU
"""
WRONG = """
class LSTM(real.LSTM):
    def __call__(self, *arguments, **named):
        y, state = super().__call__(*arguments, **named)
        return 1.001 * y, state
real.LSTM = LSTM
"""
DEAD = "import os\nos.abort()"


def measured(**makers: compare.Made) -> Comparison:
    both = {name: revision(name) for name in (THIS, TWIN)}
    return compare.measure({**makers, **both}, SMALL, launches=2, seconds=0.004)


def test_the_same_revision_in_three_processes() -> None:
    found = measured(old=revision("old"))
    assert found.failures == []
    for row in found.rows:
        assert row.same_bits == {"old": True, THIS: True, TWIN: True}
        assert {name: len(best) for name, best in row.best.items()} == {"old": 2, THIS: 2, TWIN: 2}
    assert json.loads(json.dumps(found.to_json()))["means"]["old"] == pytest.approx(found.mean("old"))


def test_a_revision_that_is_faster(tmp_path: Path) -> None:
    """This one, made slow on purpose, is found slower than an earlier one."""
    slow = changed(tmp_path / "slow", SLOW)
    makers = {"old": revision("old"), **{name: revision(name, slow) for name in (THIS, TWIN)}}
    found = compare.measure(makers, SMALL[:2], launches=2, seconds=0.02)
    assert found.failures == []
    said = found.slower(LIMITS)
    assert any(SMALL[0].label in line for line in said), (said, found.rows)


def test_an_earlier_revision_lacks_things(tmp_path: Path) -> None:
    found = measured(old=revision("old", changed(tmp_path / "early", EARLY)))
    assert found.failures == []
    assert [row.notes.get("old") for row in found.rows] == [
        None,
        "it has no streams",
        None,
        "it has no GRU",
        "it has no smaller weights",
    ]
    assert [bool(row.logs("old")) for row in found.rows] == [True, False, True, False, False]


def test_a_revision_that_is_wrong_has_no_time(tmp_path: Path) -> None:
    found = measured(old=revision("old", changed(tmp_path / "wrong", WRONG)))
    assert (
        len(found.failures) == 1
    )  # of int8, which may be off by more, and of steps and training it is right
    assert found.failures[0].startswith(f"old at {SMALL[0].label}: off by ")
    assert compare.judge(found, LIMITS) == compare.SLOWER


def test_a_revision_that_ends(tmp_path: Path) -> None:
    with pytest.raises(AskedError, match="its process ended: signal SIGABRT"):
        measured(old=revision("old", changed(tmp_path / "dead", DEAD)))


def test_the_peer_imports_nothing_of_this_revision() -> None:
    tree = ast.parse(Path(peer.__file__).read_text(encoding="utf-8"))
    relative = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    assert relative == []
    clock = ast.parse(Path(peer.__file__).with_name("clock.py").read_text(encoding="utf-8"))
    names = {node.module for node in ast.walk(clock) if isinstance(node, ast.ImportFrom)}
    assert names <= {"__future__", "collections.abc", "contextlib", "typing"}


# The command.


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "required"),
        (["old"], "expected NAME=PYTHON, got 'old'"),
        (["this=python"], "expected NAME=PYTHON"),
        (["old=python", "--only=T=7"], "no row has 'T=7' in it"),
        (["old=python", "--launches=0"], "expected 1 or more"),
        (["old=python", "--seconds=0"], "more than 0"),
        (["old=python", "--json=/nowhere/at/all.json"], "cannot be written"),
    ],
)
def test_what_cannot_be_asked_for(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        compare.main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_picture_by_revision() -> None:
    pytest.importorskip("matplotlib")
    found = made(*[(1.0, 0.5, 0.5)] * len(SHAPES))
    found.rows[-1].best["old"] = []
    assert pictures.by_revision(found, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize("ratio", [1.001, 0.97, 0.5, 0.04])
def test_speeds_can_be_read_off_its_picture(ratio: float) -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes = figure.subplots()
    pictures._draw_by_revision(axes, made(*[(1.0, 1 / ratio, 1 / ratio)] * len(SHAPES)))
    figure.draw_without_rendering()
    low, high = axes.get_ylim()
    labels = [
        tick.label1.get_text() for tick in axes.yaxis.get_major_ticks() if low <= tick.get_loc() <= high
    ]
    assert len(labels) >= 3
    assert len(set(labels)) == len(labels)


def test_speeds_begin_with_the_first_revision_that_has_it() -> None:
    ratios = {"a": None, "b": 0.5, "c": 0.8}
    assert pictures._speeds(["a", "b", "c", THIS], ratios.get) == ([1, 2, 3], [1.0, 1.6, 2.0])
