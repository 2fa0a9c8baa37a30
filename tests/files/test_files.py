"""Weight files: what save writes load reads; what it did not write, however broken, is a ValueError."""

from __future__ import annotations

import functools
import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstmfast

from ..helpers import KINDS, assert_same_bits, everything, make, random_state, random_x
from .helpers import check_changed, header_of, with_header

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


@functools.cache
def saved(kind: str) -> bytes:
    """What save writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        make(kind, 3, 5).save(path)
        return path.read_bytes()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to write to again and again."""
    return tmp_path_factory.mktemp("files") / "model"


def refuses(path: Path, data: bytes, words: str = "") -> None:
    """Loading these bytes is a ValueError that begins with the path and has the words in it."""
    path.write_bytes(data)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is looked at below
        lstmfast.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert words in message, message


def loaded(path: Path) -> lstmfast.LSTM | lstmfast.RNN:
    """What a file of a model, and not of a quantized layer, holds."""
    model = lstmfast.load(path)
    assert isinstance(model, (lstmfast.LSTM, lstmfast.RNN))
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


# What save did not write.


def test_truncated_anywhere(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model"
    data = saved(kind)
    for length in range(len(data)):
        if length < 600 or length % 61 == 0 or length > len(data) - 20:  # the whole header, and more
            refuses(path, data[:length], "expected a whole safetensors file")


def test_longer_than_it_should_be(kind: str, tmp_path: Path) -> None:
    data = saved(kind)
    for extra in (b"\0", b"x" * 100, data):
        refuses(tmp_path / "model", data + extra, "expected a whole safetensors file")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"\0" * 8,
        b"\xff" * 8,
        b"\xff" * 1000,
        b"PK\x03\x04" + b"\0" * 100,
        b"\x93NUMPY\x01\x00" * 20,
    ],
)
def test_garbage(tmp_path: Path, data: bytes) -> None:
    refuses(tmp_path / "model", data)


@pytest.mark.parametrize("size", [0, 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1])
def test_lying_header_size(kind: str, tmp_path: Path, size: int) -> None:
    data = saved(kind)
    refuses(tmp_path / "model", size.to_bytes(8, "little") + data[8:], "expected a whole safetensors file")


@given(data=st.data(), kind=st.sampled_from(["lstm", "rnn_tanh"]))
@settings(max_examples=300)
def test_changed_bytes(scratch: Path, data: st.DataObject, kind: str) -> None:
    """Whatever bytes are changed, it loads (numbers are numbers) or is a ValueError."""
    path = scratch
    check_changed(path, saved(kind), data, 700)


@given(data=st.data())
@settings(max_examples=200)
def test_headers_that_lie(scratch: Path, data: st.DataObject) -> None:
    """Offsets, shapes and dtypes of any value: refused, or read within the file."""
    path = scratch
    header, tensors = header_of(saved("lstm"))
    name = data.draw(st.sampled_from([name for name in header if name != "__metadata__"]))
    numbers = st.one_of(
        st.integers(0, 700),
        st.sampled_from([-1, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30]),
    )
    field = data.draw(st.sampled_from(["shape", "data_offsets", "dtype"]))
    header[name][field] = data.draw(
        {
            "shape": st.lists(numbers, max_size=4),
            "data_offsets": st.lists(numbers, min_size=0, max_size=3),
            "dtype": st.sampled_from(["F16", "F64", "BF16", "I32", "BOOL", "F8_E4M3", "C64", "X", ""]),
        }[field]
    )
    path.write_bytes(with_header(header, tensors))
    expected = header_of(saved("lstm"))[0]
    if header == expected:
        lstmfast.load(path)
    else:
        refuses(path, path.read_bytes())


def test_no_metadata(kind: str, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "model"
    for metadata in (None, {}, {"format": "pt"}):
        save_file(make(kind, 3, 5).state_dict(), path, metadata)
        refuses(path, path.read_bytes(), "expected metadata with lstmfast's entry 'lstmfast', got [")
        refuses(path, path.read_bytes(), "load_state_dict")


def changed(data: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The file with a change to the description in its metadata."""
    header, tensors = header_of(data)
    description = json.loads(header["__metadata__"]["lstmfast"])
    result = change(description)
    text = result if isinstance(result, str) else json.dumps(description)
    header["__metadata__"]["lstmfast"] = text
    return with_header(header, tensors)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected JSON"),
        ("{", "expected JSON"),
        ("[" * 100_000, "expected JSON"),
        ("9" * 5000, "metadata 'lstmfast': expected "),
        ("[]", "expected a JSON object with an entry 'format', got a list of length 0"),
        ("null", "expected a JSON object with an entry 'format', got None"),
        ("{}", "expected a JSON object with an entry 'format', got a dict of length 0"),
    ],
)
def test_metadata_that_is_no_description(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "model"
    refuses(path, changed(saved("lstm"), lambda _: text), words)


@pytest.mark.parametrize("version", [0, 2, "1", None, True, 1.5, [1], {}])
def test_other_versions(tmp_path: Path, version: Any) -> None:
    path = tmp_path / "model"
    data = changed(saved("lstm"), lambda d: d.update(format=version))
    refuses(path, data, "format: expected 1, got ")


@pytest.mark.parametrize(
    ("name", "got"),
    [("GRU", "'GRU' (str)"), ("lstm", "'lstm' (str)"), (None, "None"), (1, "1 (int)"), ([], "a list")],
)
def test_other_classes(tmp_path: Path, name: Any, got: str) -> None:
    path = tmp_path / "model"
    data = changed(saved("lstm"), lambda d: d.update({"class": name}))
    refuses(path, data, f"class: expected 'LSTM' or 'RNN' or 'QuantizedLSTM' or 'QuantizedRNN', got {got}")


def test_the_other_class(tmp_path: Path) -> None:
    path = tmp_path / "model"
    refuses(path, changed(saved("lstm"), lambda d: d.update({"class": "RNN"})), "config: expected [")
    refuses(path, changed(saved("rnn_tanh"), lambda d: d.update({"class": "LSTM"})), "config: expected [")


@pytest.mark.parametrize("config", [None, [], "x", {}, {"input_size": 3}])
def test_configurations_that_are_none(tmp_path: Path, config: Any) -> None:
    path = tmp_path / "model"
    refuses(path, changed(saved("lstm"), lambda d: d.update(config=config)), "config: expected [")


def test_a_configuration_with_more_to_it(tmp_path: Path) -> None:
    """A later version's setting may change what the weights mean."""
    path = tmp_path / "model"
    data = changed(saved("lstm"), lambda d: d["config"].update(peepholes=True))
    refuses(path, data, "'peepholes'")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("input_size", 4, "weight_ih_l0: expected float32 (20, 4), got float32 (20, 3)"),
        ("input_size", 0, "input_size: expected an integer >= 1, got 0 (int)"),
        ("input_size", 3.0, "input_size: expected an integer >= 1, got 3.0 (float)"),
        ("input_size", "3", "input_size: expected an integer >= 1, got '3' (str)"),
        ("input_size", True, "input_size: expected an integer >= 1, got the bool True"),
        ("input_size", 10**9, "weight_ih_l0: expected float32 (20, 1000000000), got float32 (20, 3)"),
        ("input_size", 2**62, "more than the address space"),
        ("input_size", 10**40, "input_size: expected an integer <= "),
        ("hidden_size", 6, "weight_ih_l0: expected float32 (24, 3), got float32 (20, 3)"),
        ("hidden_size", 10**7, "weight_ih_l0: expected float32 (40000000, 3), got float32 (20, 3)"),
        ("hidden_size", -5, "hidden_size: expected an integer >= 1, got -5 (int)"),
        ("num_layers", 2, "missing weight_ih_l1, weight_hh_l1, bias_ih_l1, bias_hh_l1"),
        ("num_layers", 10**15, "expected 4000000000000000 arrays for 1000000000000000 layers, got 4"),
        ("num_layers", None, "num_layers: expected an integer >= 1, got None"),
        ("bias", False, "expected the names weight_ih_l0, weight_hh_l0, got unexpected bias_"),
        ("bias", 1, "bias: expected True or False, got 1 (int)"),
        ("bidirectional", True, "missing weight_ih_l0_reverse, "),
        ("batch_first", "no", "batch_first: expected True or False, got 'no' (str)"),
        ("dtype", "float64", "weight_ih_l0: expected float64 (20, 3), got float32 (20, 3)"),
        ("dtype", "int8", "dtype: expected 'float32' or 'float64', got int8"),
        ("dtype", None, "dtype: expected 'float32' or 'float64', got None"),
        ("dropout", 1.5, "dropout: expected a number from 0 to 1, got 1.5 (float)"),
        ("dropout", None, "dropout: expected a number from 0 to 1, got None"),
        ("dropout", True, "dropout: expected a number from 0 to 1, got True"),
        ("dropout", float("nan"), "dropout: expected a number from 0 to 1, got nan (float)"),
        ("proj_size", 2, "bias_hh_l0, weight_hr_l0, got missing weight_hr_l0"),
        ("proj_size", 5, "proj_size: expected less than hidden_size (5), got 5 (int)"),
        ("proj_size", -1, "proj_size: expected an integer >= 0, got -1 (int)"),
        ("proj_size", 10**40, "proj_size: expected an integer <= "),
        ("proj_size", "x", "proj_size: expected an integer >= 0, got 'x' (str)"),
    ],
)
def test_configurations_that_lie(tmp_path: Path, name: str, value: Any, words: str) -> None:
    path = tmp_path / "model"
    refuses(
        path,
        changed(saved("lstm"), lambda d: d["config"].update({name: value})),
        words,
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "got unexpected weight_hr_l0"),
        (3, "weight_hh_l0: expected float32 (20, 3), got float32 (20, 2)"),
    ],
)
def test_projections_that_lie(tmp_path: Path, value: int, words: str) -> None:
    path = tmp_path / "model"
    make("lstm", 3, 5, proj_size=2).save(path)
    refuses(path, changed(path.read_bytes(), lambda d: d["config"].update(proj_size=value)), words)


def test_an_rnn_has_no_projection(tmp_path: Path) -> None:
    path = tmp_path / "model"
    data = changed(saved("rnn_tanh"), lambda d: d["config"].update(proj_size=0))
    refuses(path, data, "config: expected [")


def test_a_nonlinearity_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "model"
    data = changed(saved("rnn_relu"), lambda d: d["config"].update(nonlinearity="gelu"))
    refuses(path, data, "nonlinearity: expected 'tanh' or 'relu', got 'gelu' (str)")


def with_tensors(change: Callable[[dict[str, Any]], Any]) -> bytes:
    """A file of an LSTM with other tensors and the right metadata."""
    from safetensors.numpy import save

    metadata = header_of(saved("lstm"))[0]["__metadata__"]
    tensors: dict[str, Any] = dict(make("lstm", 3, 5).state_dict())
    change(tensors)
    return save(tensors, metadata)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda t: t.pop("bias_hh_l0"),
            "tensors: expected the names weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, got missing ",
        ),
        (lambda t: t.update(other=np.zeros(1)), "got unexpected other"),
        (
            lambda t: t.update(other=t.pop("bias_ih_l0")),
            "bias_hh_l0, got unexpected other; missing bias_ih_l0",
        ),
        (lambda t: t.clear(), "expected "),
        (
            lambda t: t.update(weight_hh_l0=np.zeros((5, 20), "float32")),
            "weight_hh_l0: expected float32 (20, 5), got float32 (5, 20)",
        ),
        (
            lambda t: t.update(bias_ih_l0=np.zeros((20, 1), "float32")),
            "bias_ih_l0: expected float32 (20,), got float32 (20, 1)",
        ),
        (
            lambda t: t.update(bias_ih_l0=np.zeros(20, "float64")),
            "bias_ih_l0: expected float32 (20,), got float64 (20,)",
        ),
        (
            lambda t: t.update(bias_ih_l0=np.zeros(20, "int32")),
            "bias_ih_l0: expected float32 (20,), got I32 (20,)",
        ),
        (
            lambda t: t.update(bias_ih_l0=np.zeros(20, "float16")),
            "bias_ih_l0: expected float32 (20,), got float16 (20,)",
        ),
    ],
)
def test_tensors_that_do_not_fit(tmp_path: Path, change: Callable[[dict[str, Any]], Any], words: str) -> None:
    path = tmp_path / "model"
    refuses(path, with_tensors(change), words)
