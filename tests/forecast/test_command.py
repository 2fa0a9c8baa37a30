"""`lstmfast forecast` from end to end: what it writes and says and refuses, and nothing half-written."""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import lstmfast
from lstmfast import _cli, datasets

from .helpers import csv_of, seasonal

HOURS = np.datetime64("2024-01-01T00", "h") + np.arange(400).astype("timedelta64[h]")
SUNSPOTS = Path(datasets.__file__).with_name("sunspots.csv")


def forecast(*arguments: object) -> int:
    """Run the command in this process; return its exit code."""
    try:
        return _cli.main(["forecast", *map(str, arguments)])
    except SystemExit as error:
        return int(str(error.code))


def written(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def hours(tmp_path: Path) -> Path:
    path = tmp_path / "hours.csv"
    path.write_text(csv_of(HOURS, seasonal(400), seasonal(400, 1), names="time,load,temp"))
    return path


@pytest.fixture(autouse=True)
def _threads() -> object:
    before = lstmfast.get_num_threads()
    yield
    lstmfast.set_num_threads(before)


def test_sunspots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("safetensors")
    out = tmp_path / "out"
    assert forecast(SUNSPOTS, "--out", out) == 0
    assert {path.name for path in out.iterdir()} == {
        "forecast.csv",
        "evaluation.csv",
        "forecast.png",
        "model.safetensors",
    }
    rows = written(out / "forecast.csv")
    assert [row["YEAR"] for row in rows] == [str(year) for year in range(2009, 2021)]
    for row in rows:
        ends = [
            float(row[f"SUNACTIVITY{end}"])
            for end in ("_lower_95", "_lower_80", "", "_upper_80", "_upper_95")
        ]
        assert ends == sorted(ends)
    judged = written(out / "evaluation.csv")
    assert {row["forecast"] for row in judged if row["rows_ahead"] == "12"} == {
        "LSTM",
        "last value",
        "same season last period",
        "linear autoregression",
    }
    # The last value, by hand: 46 rows, each from the row before.
    naive = next(row for row in judged if row["forecast"] == "last value")
    _, numbers = datasets.sunspots()
    assert float(naive["mae"]) == pytest.approx(np.abs(np.diff(numbers)[-46:]).mean())
    assert (out / "forecast.png").read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    assert "'SUNACTIVITY', 309 rows from 1700 to 2008, a step of 1" in said
    assert re.search(r"^  within the 95% interval +(\d+% +)+\d+%$", said, re.M)
    assert "The LSTM does not beat the baselines" in said


def test_a_model_is_applied_to_new_data(
    hours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("safetensors")
    chosen = ("--column", "temp", "--column", "load", "--horizon", 5, "--epochs", 2, "--quiet")
    assert forecast(hours, *chosen, "--out", tmp_path / "a") == 0
    assert capsys.readouterr() == ("", "")
    model = tmp_path / "a" / "model.safetensors"
    assert forecast(hours, "--model", model, "--out", tmp_path / "b", "--quiet") == 0
    assert (tmp_path / "a" / "forecast.csv").read_bytes() == (tmp_path / "b" / "forecast.csv").read_bytes()
    assert not (tmp_path / "b" / "model.safetensors").exists()
    later = tmp_path / "later.csv"  # other columns besides, another order, another hour, fewer rows
    later.write_text(
        csv_of(
            HOURS[:200] + np.timedelta64(999, "h"),
            range(200),
            seasonal(200),
            seasonal(200, 1),
            names="t,x,load,temp",
        )
    )
    assert forecast(later, "--model", model, "--horizon", 2, "--out", tmp_path / "c") == 0
    rows = written(tmp_path / "c" / "forecast.csv")
    assert [row["t"] for row in rows] == ["2024-02-19T23:00", "2024-02-20T00:00"]
    assert list(rows[0])[1] == "temp"
    capsys.readouterr()

    for change, said in (
        (csv_of(HOURS, seasonal(400), names="time,load"), "has no column 'temp'; it has 'time', 'load'"),
        (csv_of(HOURS[::2], *[seasonal(200)] * 2, names="time,load,temp"), "expected a step of 1 hour"),
    ):
        later.write_text(change)
        assert forecast(later, "--model", model, "--out", tmp_path / "d") == 1
        assert said in capsys.readouterr().err
    later.write_text(csv_of(HOURS[:2], *[seasonal(2)] * 2, names="time,load,temp"))
    assert forecast(later, "--model", model, "--out", tmp_path / "d") == 1
    assert f"{later}: history: expected at least" in capsys.readouterr().err
    for options, said in (
        (("--horizon", 6), "forecasts 5 rows ahead at most, got 6"),
        (("--column", "load"), "is a model of 'temp', 'load', all needed; got 'load'"),
        (("--epochs", 3), "--epochs: nothing is learned with --model"),
        (("--period", 3), "--period: nothing is learned with --model"),
    ):
        assert forecast(hours, "--model", model, *options, "--out", tmp_path / "d") == 1
        assert said in capsys.readouterr().err
    assert forecast(hours, "--model", hours, "--out", tmp_path / "d") == 1
    assert "expected a whole model file" in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("", (), "expected a table, got an empty file"),
        ("a,b\nx,y\nz,w\n", (), "expected a column of numbers, got none"),
        (csv_of(HOURS[[0, 2, 1]], range(3)), (), "they go backwards"),
        (csv_of(HOURS[:1], [1]), (), "got 1 row"),
        (csv_of(HOURS[:50], range(50)), (), "at least 100 rows, got 50"),
        (csv_of(HOURS[:200], range(200)), ("--horizon", 21), "a horizon of 20 can be had"),
        (csv_of(HOURS, [7] * 400), (), "column 'y': expected numbers that change, got 7"),
        (csv_of(HOURS, range(400)), ("--column", "z"), "no column 'z'; it has 'time', 'y'"),
        (csv_of(HOURS, range(400)), ("--time", "z"), "no column 'z'; it has 'time', 'y'"),
        (csv_of(HOURS, range(400)), ("--period", 200), "period: expected at most 77 rows"),
        (csv_of(HOURS, [*range(399), "many"]), ("--column", "y"), "line 401: expected a number"),
        (
            csv_of(HOURS, [k if k < 100 or k > 200 else "" for k in range(400)]),
            (),
            "20% of the column 'y' missing",
        ),
    ],
)
def test_bad_input_is_one_line_and_nothing_else(
    text: str, options: tuple[object, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.csv").write_text(text)
    assert forecast(tmp_path / "bad.csv", *options, "--out", tmp_path / "out", "--quiet") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("lstmfast: error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


@pytest.mark.parametrize("name", ["a$b^{$c", "US$ per $", "two\nlines", "%s {0}", "-y", "a,b"])
def test_names_of_any_kind(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In messages, in the picture and in the table, which is read again as it was."""
    path, out = tmp_path / "x.csv", tmp_path / "out"
    path.write_text(csv_of(HOURS, seasonal(400), names=f'time,"{name}"'))
    assert forecast(path, f"--column={name}", "--epochs", 1, "--horizon", 3, "--out", out) == 0
    assert repr(name) in capsys.readouterr().out
    assert [*written(out / "forecast.csv")[0]][:3] == ["time", name, f"{name}_lower_80"]
    if (out / "model.safetensors").exists():
        assert forecast(path, "--model", out / "model.safetensors", "--out", out, "--quiet") == 0


def test_a_zero_after_growth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What logarithms are is decided by the rows to learn from: a later zero is an error, with a way out."""
    path = tmp_path / "sales.csv"
    sales = np.exp(4 + 0.005 * np.arange(400) + np.random.default_rng(0).normal(0, 0.1, 400))
    sales[390] = 0
    path.write_text(csv_of(HOURS, sales))
    options = ("--epochs", 1, "--horizon", 3, "--out", tmp_path / "out")
    assert forecast(path, *options, "--quiet") == 1
    assert "above 0" in (said := capsys.readouterr().err)
    assert "got 0 in row 390 of 400; logarithms=False (--no-logarithms) does without" in said
    assert not (tmp_path / "out").exists()
    assert forecast(path, *options, "--no-logarithms") == 0
    assert "In logarithms" not in capsys.readouterr().out
    model = tmp_path / "out" / "model.safetensors"
    if model.exists():
        assert forecast(path, "--model", model, "--no-logarithms") == 1
        assert "--no-logarithms: nothing is learned with --model" in capsys.readouterr().err


def test_what_is_done_about_gaps_is_said(
    hours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = hours.read_text().splitlines()
    del lines[50:53], lines[300]
    lines[-1] = lines[-1].split(",")[0] + ",,"
    hours.write_text("\n".join(lines) + "\n")
    assert forecast(hours, "--epochs", 1, "--horizon", 3, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert (
        "The last 1 row left out: numbers are missing there. The forecast begins after 2024-01-17T14:00."
        in said
    )
    assert "4 of 399 numbers of 'load' are missing (at most 3 in a row): filled by straight lines" in said
    assert written(tmp_path / "out" / "forecast.csv")[0]["time"] == "2024-01-17T15:00"


def test_intervals_that_did_not_hold_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(0).standard_normal(400)
    for factor in (1, 5):
        noise[340:] *= factor
        (tmp_path / "x.csv").write_text(csv_of(HOURS, noise))
        assert forecast(tmp_path / "x.csv", "--epochs", 1, "--horizon", 3, "--out", tmp_path / "out") == 0
        told = "intervals held less often than chance explains" in capsys.readouterr().out
        assert told == (factor > 1)


def test_files_and_folders_that_cannot_be(
    hours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forecast(tmp_path / "none.csv", "--out", tmp_path / "out") == 1
    assert "none.csv" in capsys.readouterr().err
    assert forecast(hours, "--model", tmp_path / "none", "--out", tmp_path / "out") == 1
    assert forecast(hours, "--out", hours / "out") == 1
    assert "--out: cannot write to" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["hours.csv"]


@pytest.mark.parametrize(
    "options",
    [
        ("--horizon", 0),
        ("--period", 1),
        ("--cell", "rnn"),
        ("--epochs", "many"),
        ("--threads", 0),
        ("--colum", "y"),
    ],
)
def test_options_that_cannot_be(
    options: tuple[object, ...], hours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forecast(hours, *options) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("which", range(2))
def test_a_disk_that_fails_leaves_what_was_there(
    which: int,
    hours: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whichever of the files cannot be put in its place: all are as they were, and the message names it."""
    out, new = tmp_path / "out", tmp_path / "new" / "folder"
    assert forecast(hours, "--horizon", 3, "--epochs", 1, "--out", out, "--quiet") == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    put = os.replace
    for folder in (out, new):
        count = iter(range(99))

        def full(temporary: str, target: str, count: Iterator[int] = count) -> None:
            if next(count) == which:
                raise OSError(28, "No space left on device", temporary)
            put(temporary, target)

        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", full)
            options = ("--horizon", 4, "--epochs", 1, "--quiet")
            assert forecast(hours, *options, "--out", folder) == 1
        said = capsys.readouterr().err
        names = [
            name
            for name in ("forecast.csv", "evaluation.csv", "forecast.png", "model.safetensors")
            if name in before
        ]
        assert f"No space left on device: {str(folder / names[which])!r}" in said
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert not new.parent.exists()


def test_a_folder_in_the_place_of_a_file(
    hours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (out / "evaluation.csv").mkdir(parents=True)
    assert (
        forecast(hours, "--horizon", 3, "--epochs", 100_000, "--out", out) == 1
    )  # before anything is learned
    assert capsys.readouterr() == (
        "",
        f"lstmfast: error: --out: cannot write to {str(out / 'evaluation.csv')!r}: Is a directory\n",
    )
    assert [path.name for path in out.iterdir()] == ["evaluation.csv"]


def test_threads_do_not_change_a_byte(hours: Path, tmp_path: Path) -> None:
    for count in (1, 2):
        options = ("--period", 24, "--epochs", 3, "--threads", count, "--quiet")
        assert forecast(hours, *options, "--out", tmp_path / str(count)) == 0
    for path in (tmp_path / "1").glob("*.[cs]*"):
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()


def test_without_extras(
    hours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (
        "matplotlib",
        "matplotlib.axes",
        "matplotlib.figure",
        "safetensors",
        "rich",
        "rich.progress",
    ):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "lstmfast._forecast.picture", raising=False)
    if "lstmfast._forecast" in sys.modules:
        monkeypatch.delattr(sys.modules["lstmfast._forecast"], "picture", raising=False)
    assert forecast(hours, "--epochs", 1, "--out", tmp_path / "out") == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"forecast.csv", "evaluation.csv"}
    said = capsys.readouterr().out
    assert "No picture: it needs matplotlib (pip install 'lstmfast[forecast]')." in said
    assert "No model file: it needs safetensors (pip install 'lstmfast[forecast]')." in said


def test_ctrl_c_leaves_nothing(hours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmfast._forecast import progress

    def interrupt(epoch: int, loss: float, held_out: float | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "_lines", lambda epochs: interrupt)
    assert forecast(hours, "--out", tmp_path / "out") == 130
    assert not (tmp_path / "out").exists()


def test_lines_of_progress(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from lstmfast._forecast import progress

    clock = iter([0.0, 1.0, 6.0, 7.0, 12.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with progress.shown(10, quiet=False) as on_epoch:
        assert on_epoch
        for epoch in range(1, 5):
            on_epoch(epoch, 1.0, 0.5)
    assert capsys.readouterr().err.splitlines() == [
        "training: epoch 2 of 10, held-out loss 0.5000, at most 24 s left",
        "training: epoch 4 of 10, held-out loss 0.5000, at most 18 s left",
    ]
    with progress.shown(10, quiet=True) as on_epoch:
        assert on_epoch is None


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    from lstmfast._forecast import progress

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with progress.shown(2, quiet=False) as on_epoch:
        assert on_epoch
        on_epoch(1, 1.0, None)
        on_epoch(2, 1.0, 0.25)
    assert "held-out loss 0.2500" in capsys.readouterr().err
