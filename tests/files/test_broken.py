"""Weight files that save did not write, however broken: each is a ValueError."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstmfast

from ..helpers import make
from .helpers import CLASSES, check_changed, header_of, refuses, with_header

pytest.importorskip("safetensors")


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
    [("MGU", "'MGU' (str)"), ("lstm", "'lstm' (str)"), (None, "None"), (1, "1 (int)"), ([], "a list")],
)
def test_other_classes(tmp_path: Path, name: Any, got: str) -> None:
    path = tmp_path / "model"
    data = changed(saved("lstm"), lambda d: d.update({"class": name}))
    refuses(path, data, f"class: expected {CLASSES}, got {got}")


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
