"""Files of models with smaller weights that save did not write: each is a ValueError."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ..small.helpers import WEIGHT_DTYPES, trained
from .helpers import CLASSES, check_changed, header_of, refuses, with_header
from .quantized import (
    FORMS,
    changed,
    configured,
    described,
    every_form,
    made,
    saved,
    tensors_of,
    with_tensors,
)

pytest.importorskip("safetensors")


@every_form
def test_truncated_and_longer(weight_dtype: str, calibrated: bool, tmp_path: Path) -> None:
    path = tmp_path / "model"
    data = saved("lstm", weight_dtype, calibrated)
    for length in (*range(0, len(data), 37), *range(len(data) - 9, len(data))):
        refuses(path, data[:length], "expected a whole safetensors file")
    for extra in (b"\0", b"x" * 100, data):
        refuses(path, data + extra, "expected a whole safetensors file")


@settings(max_examples=150)
@given(data=st.data(), form=st.sampled_from(FORMS))
def test_changed_bytes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, form: Any) -> None:
    """Whatever bytes are changed, it loads and runs, or is a ValueError."""
    path = tmp_path_factory.getbasetemp() / "changed"
    check_changed(path, saved("lstm", *form), data, 900)


@every_form
def test_every_tensor_is_needed_and_no_other(weight_dtype: str, calibrated: bool, tmp_path: Path) -> None:
    path = tmp_path / "model"
    data = saved("lstm", weight_dtype, calibrated)
    for name, array in made("lstm", weight_dtype, calibrated)[1].parameters.items():
        refuses(path, with_tensors(data, {}, without=name), f"missing {name}")
        renamed = with_tensors(data, {"other": array}, without=name)
        refuses(path, renamed, f"got unexpected other; missing {name}")
    refuses(path, with_tensors(data, {"other": np.zeros(1)}), "got unexpected other")


@every_form
def test_tensors_that_do_not_fit(weight_dtype: str, calibrated: bool, tmp_path: Path) -> None:
    path = tmp_path / "model"
    data = saved("lstm", weight_dtype, calibrated)
    for name, array in tensors_of(data).items():
        expected = f"{name}: expected {array.dtype} {array.shape}, got "
        for dtype in (np.int32, np.float64, np.int16, np.uint8, np.float16, np.float32):
            if dtype != array.dtype:
                refuses(path, with_tensors(data, {name: array.astype(dtype)}), expected)
        for shape in ((*array.shape, 1), (array.size + 1,), array.shape[::-1] if array.ndim == 2 else (1,)):
            other = with_tensors(data, {name: np.resize(array, shape)})
            refuses(path, other, f"{expected}{array.dtype} {shape}")


def test_bfloat16_of_other_hands(tmp_path: Path) -> None:
    """safetensors has a BF16 of its own, which NumPy has not; what is expected is said."""
    header, tensors = header_of(saved("lstm", "bfloat16"))
    header["weight_ih_l0"]["dtype"] = "BF16"
    path = tmp_path / "model"
    refuses(path, with_header(header, tensors), "weight_ih_l0: expected uint16 (20, 3), got BF16 (20, 3)")


def assert_number_refused(path: Path, data: bytes, name: str, value: float) -> None:
    """A file in which this is one number of a tensor, wherever, is refused, and the tensor named."""
    for place in (0, -1):
        array = tensors_of(data)[name]
        array.ravel()[place] = value
        refuses(path, with_tensors(data, {name: array}), f"tensors['{name}']: expected ")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1.0, -1e-45, 0.0])
@pytest.mark.parametrize("name", ["weight_ih_l0_scale", "weight_hh_l0_scale", "input_range"])
def test_scales_and_ranges_that_are_none(tmp_path: Path, name: str, value: float) -> None:
    assert_number_refused(tmp_path / "model", saved("lstm", "int8", True), name, value)


@pytest.mark.parametrize("weight_dtype", WEIGHT_DTYPES)
def test_numbers_that_are_none(tmp_path: Path, weight_dtype: str) -> None:
    """Those that quantizing never makes: it refuses to, and has no -128."""
    path, data = tmp_path / "model", saved("lstm", weight_dtype)
    for name in ("bias_ih_l0", "bias_hh_l0"):
        for value in (np.nan, np.inf, -np.inf):
            assert_number_refused(path, data, name, value)
    wrong: dict[str, list[Any]] = {
        "float16": [np.nan, np.inf, -np.inf],
        "bfloat16": [0x7F80, 0xFF80, 0x7FC0, 0xFFFF],
        "int8": [-128],
    }
    for name in ("weight_ih_l0", "weight_hh_l0"):
        for value in wrong[weight_dtype]:
            assert_number_refused(path, data, name, value)


def test_a_projection_has_a_scale_too(tmp_path: Path) -> None:
    path = tmp_path / "model"
    trained("lstm", 3, 5, proj_size=2).quantize("int8").save(path)
    data = path.read_bytes()
    refuses(path, with_tensors(data, {}, without="weight_hr_l0_scale"), "missing weight_hr_l0_scale")
    for value in (np.nan, -1):
        assert_number_refused(path, data, "weight_hr_l0_scale", value)


@pytest.mark.parametrize(
    ("name", "got"),
    [
        ("QuantizedMGU", "'QuantizedMGU' (str)"),
        ("quantizedlstm", "'quantizedlstm' (str)"),
        ("Quantized", "'Quantized' (str)"),
        (None, "None"),
        (1, "1 (int)"),
    ],
)
def test_other_classes(tmp_path: Path, name: Any, got: str) -> None:
    data = changed(saved("lstm", "int8"), **{"class": name})
    path = tmp_path / "model"
    refuses(path, data, f"got {got}")
    refuses(path, data, f"class: expected {CLASSES}, got")


@every_form
def test_the_other_classes(weight_dtype: str, calibrated: bool, tmp_path: Path) -> None:
    """Neither is read as what it is not."""
    path = tmp_path / "model"
    for kind, others in (
        ("lstm", ("QuantizedRNN", "LSTM", "RNN")),
        ("rnn_tanh", ("QuantizedLSTM", "LSTM", "RNN")),
    ):
        for other in others:
            data = saved(kind, weight_dtype, calibrated)
            refuses(path, changed(data, **{"class": other}), "config: expected [")
    made("lstm", "int8")[0].save(path)
    for other in ("QuantizedLSTM", "QuantizedRNN"):
        data = changed(path.read_bytes(), **{"class": other})
        refuses(tmp_path / "other", data, "config: expected [")


@pytest.mark.parametrize("version", [0, 2, "1", None, True])
def test_other_versions(tmp_path: Path, version: Any) -> None:
    data = changed(saved("lstm", "int8"), format=version)
    refuses(tmp_path / "model", data, "format: expected 1, got ")


@pytest.mark.parametrize("config", [None, [], "x", {}, {"weight_dtype": "int8"}])
def test_configurations_that_are_none(tmp_path: Path, config: Any) -> None:
    data = changed(saved("lstm", "int8"), config=config)
    refuses(tmp_path / "model", data, "config: expected [")


@every_form
def test_configurations_with_less_or_more(weight_dtype: str, calibrated: bool, tmp_path: Path) -> None:
    path = tmp_path / "model"
    data = saved("lstm", weight_dtype, calibrated)
    config = described(data)["config"]
    for name in config:
        less = {other: value for other, value in config.items() if other != name}
        refuses(path, changed(data, config=less), "config: expected [")
    refuses(path, configured(data, group_size=32), "'group_size'")


CONFIGURATIONS: list[tuple[str, Any, str]] = [
    ("weight_dtype", "int4", "weight_dtype: expected "),
    ("weight_dtype", "float32", "weight_dtype: expected "),
    ("weight_dtype", None, "weight_dtype: expected "),
    ("weight_dtype", 8, "weight_dtype: expected "),
    ("weight_dtype", "float16", "got unexpected weight_"),
    ("calibrated", True, "missing input_range"),
    ("calibrated", 1, "calibrated: expected True or False, got 1 (int)"),
    ("calibrated", None, "calibrated: expected True or False, got None"),
    ("calibrated", "no", "calibrated: expected True or False, got 'no' (str)"),
    ("saturated", None, "saturated: expected "),
    ("saturated", [], "saturated: expected "),
    ("saturated", 3, "saturated: expected "),
    ("saturated", {}, "saturated: expected "),
    ("saturated", {"weight_ih_l0": 0}, "saturated: expected "),
    ("saturated", {"weight_ih_l0": 0, "weight_hh_l0": 0, "other": 0}, "saturated: expected "),
    ("saturated", {"weight_ih_l0": 0, "bias_ih_l0": 0}, "saturated: expected "),
    ("saturated", {"weight_ih_l0": 0, "weight_hh_l0": -1}, "saturated: expected "),
    ("saturated", {"weight_ih_l0": 0, "weight_hh_l0": 0.5}, "saturated: expected "),
    ("saturated", {"weight_ih_l0": 0, "weight_hh_l0": "0"}, "saturated: expected "),
    ("saturated", {"weight_ih_l0": 0, "weight_hh_l0": True}, "saturated: expected "),
    ("input_size", 4, "weight_ih_l0: expected int8 (20, 4), got int8 (20, 3)"),
    ("input_size", 0, "input_size: expected an integer >= 1, got 0 (int)"),
    ("input_size", "3", "input_size: expected an integer >= 1, got '3' (str)"),
    ("input_size", 10**9, "weight_ih_l0: expected int8 (20, 1000000000), got int8 (20, 3)"),
    ("input_size", 10**40, "input_size: expected an integer <= "),
    ("hidden_size", 6, "weight_ih_l0: expected int8 (24, 3), got int8 (20, 3)"),
    ("hidden_size", 10**7, "weight_ih_l0: expected int8 (40000000, 3), got int8 (20, 3)"),
    ("num_layers", 2, "missing weight_ih_l1"),
    ("num_layers", 10**15, "layers, got "),
    ("bias", False, "got unexpected bias_"),
    ("bias", 1, "bias: expected True or False, got 1 (int)"),
    ("bidirectional", True, "missing weight_ih_l0_reverse, "),
    ("batch_first", "no", "batch_first: expected True or False, got 'no' (str)"),
    ("dropout", 1.5, "dropout: expected a number from 0 to 1, got 1.5 (float)"),
    ("dtype", "float64", "dtype: expected "),
    ("dtype", "int8", "dtype: expected "),
    ("dtype", None, "dtype: expected "),
    ("proj_size", 2, "missing weight_hr_l0"),
    ("proj_size", 5, "proj_size: expected less than hidden_size (5), got 5 (int)"),
]


@pytest.mark.parametrize(("name", "value", "words"), CONFIGURATIONS)
def test_configurations_that_lie(tmp_path: Path, name: str, value: Any, words: str) -> None:
    data = configured(saved("lstm", "int8"), **{name: value})
    refuses(tmp_path / "model", data, words)


def test_kinds_that_lie(tmp_path: Path) -> None:
    """What was written as one kind is not read as another, also where the bytes would fit."""
    path = tmp_path / "model"
    for old in WEIGHT_DTYPES:
        for new in WEIGHT_DTYPES:
            if new != old:
                data = configured(saved("lstm", old), weight_dtype=new)
                refuses(path, data, "expected ")
    for weight_dtype in ("float16", "bfloat16"):  # which cannot be calibrated
        data = configured(saved("lstm", weight_dtype), calibrated=True)
        refuses(path, data)
    data = configured(saved("lstm", "int8", True), calibrated=False)
    refuses(path, data, "unexpected input_range")


def test_a_nonlinearity_that_is_none(tmp_path: Path) -> None:
    data = configured(saved("rnn_relu", "int8"), nonlinearity="gelu")
    refuses(tmp_path / "model", data, "nonlinearity: expected 'tanh' or 'relu', got 'gelu' (str)")


def test_no_metadata(tmp_path: Path) -> None:
    from safetensors.numpy import save

    for metadata in (None, {}, {"format": "pt"}):
        data = save(dict(made("lstm", "int8")[1].parameters), metadata)
        refuses(tmp_path / "model", data, "expected metadata with lstmfast's entry 'lstmfast', got [")
