"""Files that the package writes: whole or not at all, with any file's permissions, wherever a link leads."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast._bench.outputs import Outputs
from lstmfast._bench.results import Report
from lstmfast._demo import gradients, pictures
from lstmfast._demo.forecaster import HEAD_FILE, LSTM_FILE, Forecaster
from lstmfast._demo.series import Scaling
from lstmfast._files import writing

from ..helpers import make

MODEL = make("lstm", 3, 5)
COMPARISON = lstmfast.compare(MODEL, MODEL.quantize("int8"), np.ones((2, 1, 3), np.float32))
REPORT = Report({"threads": 1, "date": "2000-01-01", "command": ["lstmfast", "bench"]}, [])  # of nothing
FORECASTER = Forecaster.new(Scaling.of(np.arange(50.0)), hidden=3, seed=0)


def _bench(**chosen: Path) -> None:
    assert Outputs(**chosen).write(REPORT) == []


# All that the package writes, by the file's name.
WRITERS: dict[str, Callable[[Path], object]] = {
    "model": MODEL.save,
    "quantized": MODEL.quantize("int8").save,
    "comparison.png": COMPARISON.save_picture,
    "bench.json": lambda path: _bench(json=path),
    "bench.svg": lambda path: _bench(plot=path),
    "bench.html": lambda path: _bench(html=path),
    "gradients.png": lambda path: pictures.draw_gradients(gradients.curves(0), path),
    LSTM_FILE: lambda path: FORECASTER.save(path.parent),
    HEAD_FILE: lambda path: FORECASTER.save(path.parent),
}
WRITER = pytest.mark.parametrize("name", WRITERS)


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    """Set this process's umask, for a test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def others(path: Path) -> list[str]:
    """What lies beside a file but does not belong there."""
    return [name for name in os.listdir(path.parent) if name not in WRITERS]


@WRITER
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_any_new_file(
    name: str, mask: int, tmp_path: Path, umask: Callable[[int], int]
) -> None:
    umask(mask)
    WRITERS[name](tmp_path / name)
    assert mode_of(tmp_path / name) == 0o666 & ~mask
    assert others(tmp_path / name) == []


@WRITER
@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_a_file_that_was_there_keeps_its_permissions(
    name: str, mode: int, tmp_path: Path, umask: Callable[[int], int]
) -> None:
    path = tmp_path / name
    path.touch()
    path.chmod(mode)
    umask(0o022)
    WRITERS[name](path)
    assert mode_of(path) == mode
    assert path.stat().st_size > 0


@WRITER
def test_a_link_stays_a_link(name: str, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    link, target = tmp_path / name, tmp_path / "below" / name
    link.symlink_to(target)
    for _ in range(2):
        WRITERS[name](link)
        assert link.is_symlink()
        assert target.stat().st_size > 0
    assert os.listdir(tmp_path / "below") == [name]


@WRITER
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_changes_nothing(
    name: str, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    path.write_bytes(b"before")

    def fail(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises((OSError, AssertionError), match="No space left"):
        WRITERS[name](path)
    assert path.read_bytes() == b"before"
    assert others(path) == []


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        writing.write(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == []


# Files that belong together.


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("links", [True, False])
def test_all_files_or_none(
    step: str, which: int, links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of three fails, with a full disk or where it is put: each is as it was, or is not there."""
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path in paths[1:]:
        path.write_bytes(b"before")
    paths[1].chmod(0o640)
    inode = paths[1].stat().st_ino
    done, count = getattr(os, step), iter(range(99))

    def fail(*arguments: Any) -> None:
        if next(count) == which:
            raise OSError(28, "No space left on device")
        done(*arguments)

    def no_links(*arguments: Any) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, step, fail)
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(OSError, match="No space left") as caught:
        writing.write_all(dict.fromkeys(paths, b"new"))
    assert caught.value.filename == str(paths[which])
    assert sorted(os.listdir(tmp_path)) == ["b", "c"]
    assert [path.read_bytes() for path in paths[1:]] == [b"before"] * 2
    assert mode_of(paths[1]) == 0o640
    assert paths[1].stat().st_ino == inode or not links


def test_all_files(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c")]
    paths[1].write_bytes(b"before")
    paths[1].chmod(0o600)
    writing.write_all({path: path.name.encode() for path in paths})
    assert [path.read_bytes() for path in paths] == [b"a", b"b", b"c"]
    assert mode_of(paths[1]) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c"]


def test_a_folder_in_the_place_of_one_of_several(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a").write_bytes(b"before")
    with pytest.raises(IsADirectoryError) as caught:
        writing.write_all({tmp_path / "a": b"new", tmp_path / "b": b"new"})
    assert caught.value.filename == str(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == b"before"
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


# What cannot be written says so of the name that its user has given.


@pytest.mark.parametrize("act", [lambda path: writing.write(path, b"new"), writing.check])
def test_places_that_cannot_be(act: Callable[[Any], None], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"before")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, error in {
        "none/file": FileNotFoundError,
        "file/below": NotADirectoryError,
        "": IsADirectoryError,  # the folder itself
        "loop": OSError,
        "x" * 300: OSError,
    }.items():
        path = tmp_path / name
        with pytest.raises(error) as caught:
            act(path)
        assert caught.value.filename == str(path)
        assert caught.value.filename2 is None
    with pytest.raises(FileNotFoundError):
        act("")
    with pytest.raises(IsADirectoryError):
        act(f"{tmp_path}/new/")
    with pytest.raises(ValueError, match="null"):
        act(tmp_path / "a\0b")
    assert sorted(os.listdir(tmp_path)) == ["file", "loop"]
    assert (tmp_path / "file").read_bytes() == b"before"
    assert (tmp_path / "loop").is_symlink()


@pytest.mark.parametrize("act", [lambda path: writing.write(path, b"new"), writing.check])
def test_a_folder_that_is_not_ours(
    act: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refuse(path: Any, *arguments: Any, **options: Any) -> int:
        if os.path.dirname(path) == str(tmp_path):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError) as caught:
        act(tmp_path / "file")
    assert str(caught.value) == f"[Errno 13] Permission denied: {str(tmp_path / 'file')!r}"


def test_a_check_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    writing.check(path)
    assert os.listdir(tmp_path) == []
    path.write_bytes(b"before")
    path.chmod(0o640)
    writing.check(path)
    assert path.read_bytes() == b"before"
    assert mode_of(path) == 0o640
    assert os.listdir(tmp_path) == ["file"]


# What is no file is written to, not replaced.


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        MODEL.save(pipe)
        written = os.read(reader, 1 << 16)
    finally:
        os.close(reader)
    MODEL.save(tmp_path / "model")
    assert written == (tmp_path / "model").read_bytes()
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_link_to_a_device_is_written_to(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(os.devnull)
    writing.check(link)
    writing.write(link, b"new")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    assert link.is_symlink()


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="no /dev/stdout")
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_standard_output_is_written_to(kind: str, tmp_path: Path) -> None:
    program = "from lstmfast._files import writing; writing.write('/dev/stdout', b'new')"
    command = [sys.executable, "-c", program]
    if kind == "pipe":
        assert subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout == b"new"
        return
    with (tmp_path / "out").open("wb") as file:
        subprocess.run(command, stdout=file, check=True)
        same = os.fstat(file.fileno()).st_ino
    assert (tmp_path / "out").read_bytes() == b"new"
    assert (tmp_path / "out").stat().st_ino == same
    assert os.listdir(tmp_path) == ["out"]


def test_nothing_else_writes_files() -> None:
    """Whatever the package writes goes through `writing`; a temporary folder's files are nobody's."""
    writes = re.compile(
        r"""\bopen\([^()]*,\s*(mode=)?["'][rwxab+]*[wxa+]|\.write_(text|bytes)\(|\.savefig\(|\.save_file\("""
    )
    package = Path(lstmfast.__file__).parent
    found = {path.name for path in package.rglob("*.py") if writes.search(path.read_text(encoding="utf-8"))}
    in_temporary_folders = {
        "memory.py",
        "onnx_runtime.py",
        "mnn_module.py",
        "ncnn_layers.py",
        "tract_onnx.py",
    }
    assert found - {"writing.py"} - in_temporary_folders == set()
