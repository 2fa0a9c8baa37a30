"""What examples/scale promises: every sequence once, in order, the same bits however split; plain errors."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ..helpers import ROOT

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
SCALE = ROOT / "examples" / "scale"
FEATURES = 40


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small folder, as write_sequences.py makes it, with one.parquet."""
    folder = tmp_path_factory.mktemp("scale") / "sequences"
    said = program("write_sequences.py", folder, "--files=3", "--rows=7", "--longest=9")
    assert said.returncode == 0, said.stderr
    said = program("one_process.py", folder / "data", folder / "model", folder / "one.parquet")
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("21 sequences in ")
    return folder


@pytest.fixture
def sequences(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module that the programs share."""
    monkeypatch.syspath_prepend(SCALE)
    yield importlib.import_module("sequences")
    del sys.modules["sequences"]


def program(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCALE / name, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def test_every_sequence_once_and_in_order(made: Path) -> None:
    result = pq.read_table(made / "one.parquet")
    assert result["id"].to_pylist() == list(range(21))
    y = np.array(result["y"].to_pylist())
    assert y.shape == (21, 10)
    assert np.isfinite(y).all()
    assert len(np.unique(y, axis=0)) == 21
    assert list(made.glob("*.tmp")) == []


def test_a_sequence_has_the_bits_that_it_has_alone(made: Path, sequences: ModuleType) -> None:
    label = sequences.Recognizer(str(made / "model"))
    table = pq.read_table(made / "data")
    whole = label(table)
    for k in (0, 8, 20):
        assert label(table.slice(k, 1)).equals(whole.slice(k, 1))
    assert label(table.slice(5, 11)).equals(whole.slice(5, 11))
    assert whole.equals(pq.read_table(made / "one.parquet"))


def test_its_numbers_are_those_of_the_layers(made: Path, sequences: ModuleType) -> None:
    label = sequences.Recognizer(str(made / "model"))
    table = pq.read_table(made / "data" / "part-00001.parquet")
    x = np.array(table["x"][2].as_py(), np.float32)
    y, _ = label.lstm(x[:, np.newaxis])
    expected = y[:, 0].mean(axis=0) @ label.head
    np.testing.assert_allclose(label(table)["y"][2].as_py(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("change", ["missing", "twice", "moved", "bits"])
def test_what_is_wrong_is_seen(made: Path, sequences: ModuleType, change: str) -> None:
    right = pq.read_table(made / "one.parquet")
    rows = list(range(21))
    if change == "missing":
        del rows[4]
    elif change == "twice":
        rows[4] = 3
    elif change == "moved":
        rows[4], rows[5] = rows[5], rows[4]
    wrong = right.take(rows)
    if change == "bits":
        y = np.array(right["y"].combine_chunks().flatten())
        y[47] = np.nextafter(y[47], np.float32(9))
        wrong = right.set_column(1, "y", pa.FixedSizeListArray.from_arrays(y, 10))
    said = {
        "missing": "each of 21 sequences, got 20",
        "twice": "id 4 in place 4, got that of 3",
        "moved": "id 4 in place 4, got that of 5",
        "bits": "in the result of id 4",
    }[change]
    with pytest.raises(ValueError, match=said):
        sequences.compare(wrong, right)
    sequences.compare(right, right)


def test_a_result_of_others_ends_with_an_error(made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    pq.write_table(pq.read_table(made / "one.parquet").slice(0, 20), other)
    said = program(
        "one_process.py", made / "data", made / "model", tmp_path / "out.parquet", "--against", other
    )
    assert said.returncode == 1
    assert "each of 20 sequences, got 21" in said.stderr


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"id": [1], "y": [[[0.0] * FEATURES]]}, "expected the columns id and x, got id, y"),
        ({"id": [1], "x": [[[0.0] * 3]]}, "x: expected list<.*float.*\\[40\\].*>, as the model has it, got "),
        (
            {"id": [7, 8], "x": [[[0.0] * FEATURES], []]},
            "one step or more in each sequence, got none in id 8",
        ),
        ({"id": [7, 8], "x": [[[0.0] * FEATURES], None]}, "got none in id 8"),
    ],
)
def test_sequences_that_are_none(sequences: ModuleType, table: dict[str, list[Any]], said: str) -> None:
    width = len(table["x"][0][0]) if "x" in table else FEATURES
    kind = pa.list_(pa.list_(pa.float32(), width))
    made = pa.table(
        {name: pa.array(column, None if name == "id" else kind) for name, column in table.items()}
    )
    with pytest.raises(ValueError, match=said):
        list(sequences.sequences(made, FEATURES))


def test_a_folder_without_sequences(made: Path, tmp_path: Path) -> None:
    for folder, said in ((tmp_path, "got none"), (tmp_path / "nowhere", "got no folder")):
        result = program("one_process.py", folder, made / "model", tmp_path / "out.parquet")
        assert result.returncode == 1
        assert f"expected Parquet files in {folder}, {said}" in result.stderr
        assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_cannot_be_written(made: Path, tmp_path: Path) -> None:
    said = program("one_process.py", made / "data", made / "model", tmp_path / "no" / "out.parquet")
    assert said.returncode == 1
    assert "no/out.parquet: expected a file in a folder that is there" in said.stderr
    (tmp_path / "out.parquet").mkdir()
    said = program("one_process.py", made / "data", made / "model", tmp_path / "out.parquet")
    assert said.returncode == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "out.parquet"]


@pytest.mark.parametrize("name", ["ray_data", "dask_files"])
def test_the_two_are_programs(name: str) -> None:
    """They are run by `nox -s scale`: their packages are large."""
    source = (SCALE / f"{name}.py").read_text(encoding="utf-8")
    compile(source, name, "exec")
    session = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    assert name in session
    assert f"{name}.py" in (SCALE / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("workers", ["0", "-1", "two"])
def test_workers_are_counted(
    sequences: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], workers: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["program", "data", "model", "out", f"--workers={workers}"])
    with pytest.raises(SystemExit):
        sequences.options("About.")
    assert f"expected 1 or more, got '{workers}'" in capsys.readouterr().err
