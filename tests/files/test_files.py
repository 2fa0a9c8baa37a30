"""Weight files: what save writes load reads, whoever reads it, and a write that fails changes nothing."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import KINDS, assert_same_bits, everything, make, random_state, random_x
from .helpers import header_of

safetensors = pytest.importorskip("safetensors")
OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2, "bidirectional": True, "dtype": "float64"},
    {"bias": False, "batch_first": True, "num_layers": 3},
    {"num_layers": 2, "dropout": 0.25},
]
PROJECTED: list[dict[str, Any]] = [
    {"proj_size": 2},
    {"proj_size": 4, "num_layers": 2, "bidirectional": True, "bias": False, "dropout": 1, "dtype": "float64"},
]


def loaded(path: Path) -> lstmfast.LSTM | lstmfast.RNN | lstmfast.GRU:
    """What a file of a model, and not of a quantized layer, holds."""
    model = lstmfast.load(path)
    assert isinstance(model, (lstmfast.LSTM, lstmfast.RNN, lstmfast.GRU))
    return model


# What save writes.


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *((kind, options) for kind in KINDS for options in OPTIONS),
        *(("lstm", options) for options in PROJECTED),
    ],
)
def test_round_trip(kind: str, tmp_path: Path, options: dict[str, Any]) -> None:
    model = make(kind, 3, 5, **options)
    path = tmp_path / "model.safetensors"
    model.save(path)
    again = loaded(path)
    assert type(again) is type(model)
    assert repr(again) == repr(model)
    assert again.dtype is model.dtype
    assert again.isa == lstmfast.isa()
    assert (again.dropout, again.proj_size) == (options.get("dropout", 0), options.get("proj_size", 0))
    assert_same_bits(again.state_dict(), model.state_dict())
    x, state = random_x(model, 6, 4), random_state(model, 4)
    assert_same_bits(everything(again, x, state, seed=1), everything(model, x, state, seed=1))
    assert os.listdir(tmp_path) == ["model.safetensors"]
    path.unlink()  # the model does not need it any more
    assert_same_bits(everything(again, x, state, seed=1), everything(model, x, state, seed=1))


def test_numbers_of_every_kind_survive(kind: str, tmp_path: Path) -> None:
    model = make(kind, 3, 5)
    weights = model.state_dict()
    weights["weight_ih_l0"].ravel()[:6] = [np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4e38]
    model.load_state_dict(weights)
    model.save(tmp_path / "model")
    assert_same_bits(loaded(tmp_path / "model").state_dict(), weights)


def test_files_are_ordinary_safetensors(kind: str, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    model = make(kind, 3, 5)
    path = tmp_path / "model"
    model.save(path)
    tensors = load_file(path)
    assert_same_bits({name: tensors[name] for name in model.parameters}, model.state_dict())
    header = header_of(path.read_bytes())[0]
    metadata = header["__metadata__"]
    assert list(metadata) == ["lstmfast"]
    description = json.loads(metadata["lstmfast"])
    assert description["format"] == 1
    assert description["class"] == type(model).__name__
    assert description["config"]["hidden_size"] == 5
    # Written by anyone else, with tensors in another order, it is as good.
    save_file(dict(reversed(tensors.items())), path, metadata | {"other": "entries"})
    assert_same_bits(loaded(path).state_dict(), model.state_dict())


def test_a_subclass_is_saved_as_what_it_is_made_of(tmp_path: Path) -> None:
    class Mine(lstmfast.LSTM):
        pass

    Mine(3, 5).save(tmp_path / "model")
    assert type(lstmfast.load(tmp_path / "model")) is lstmfast.LSTM


@pytest.mark.parametrize("spell", [str, os.fsencode, Path], ids=["str", "bytes", "Path"])
def test_paths_of_any_kind(kind: str, tmp_path: Path, spell: Callable[[Any], Any]) -> None:
    path = spell(tmp_path / "mödel")
    model = make(kind, 3, 5)
    model.save(path)
    assert_same_bits(loaded(path).state_dict(), model.state_dict())


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make("lstm", 3, 5).save("model")
    lstmfast.load("model")
    assert os.listdir(tmp_path) == ["model"]


def test_save_replaces_and_keeps_links(kind: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link, target = tmp_path / "link", tmp_path / "folder" / "model"
    link.symlink_to(target)
    for seed in (1, 2):
        model = make(kind, 3, 5, seed=seed)
        model.save(link)
        assert link.is_symlink()
        assert_same_bits(loaded(target).state_dict(), model.state_dict())
    assert os.listdir(tmp_path / "folder") == ["model"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    make("lstm", 3, 5).save(tmp_path / "model")
    (tmp_path / "other").touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("model", "other")}
    assert len(modes) == 1


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_changes_nothing(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "model"
    make(kind, 3, 5).save(path)
    before = path.read_bytes()

    def fail(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        make(kind, 3, 5, seed=9).save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model"]


def test_readers_see_a_whole_file_while_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "model"
    models = [make("lstm", 8, 32, seed=seed) for seed in range(2)]
    allowed = {model.parameters["weight_hh_l0"].tobytes() for model in models}
    models[0].save(path)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for model in models:
                model.save(path)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(50):
            assert lstmfast.load(path).parameters["weight_hh_l0"].tobytes() in allowed
    finally:
        stop.set()
        writer.join()


# What cannot be opened or written.


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"):
        lstmfast.load(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        make("lstm", 3, 5).save(tmp_path / "nowhere" / "model")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        lstmfast.load(tmp_path)
    with pytest.raises(OSError, match="irectory"):
        make("lstm", 3, 5).save(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("path", "got"), [(None, "None"), (3, "3 (int)"), (["a"], "a list of length 1")])
def test_what_is_no_path(path: Any, got: str) -> None:
    for call in (lstmfast.load, make("lstm", 3, 5).save):
        with pytest.raises(TypeError) as caught:
            call(path)
        assert str(caught.value) == f"path: expected a string or a path, got {got}"


def test_without_safetensors(tmp_path: Path) -> None:
    make("lstm", 3, 5).save(tmp_path / "model")
    program = (
        "import sys; sys.modules['safetensors'] = None; import lstmfast\n"
        "path = sys.argv[1]\n"
        "for call in (lambda: lstmfast.load(path), lambda: lstmfast.LSTM(3, 5).save(path + '2')):\n"
        "    try: call()\n"
        "    except ImportError as error: print(error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "model")], capture_output=True, text=True, check=True
    )
    lines = result.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.endswith("pip install 'lstmfast[save]'") for line in lines)
    assert os.listdir(tmp_path) == ["model"]
