"""Files, pickles and copies of models with smaller weights: small, the same bits, nothing else is read."""

from __future__ import annotations

import copy
import functools
import json
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstmfast

from ..core_helpers import run_python
from ..helpers import Array, assert_same_bits, make, random_state, random_x
from ..quantized.helpers import WEIGHT_DTYPES, every_cell, every_weight_dtype, trained
from .helpers import check_changed, header_of, with_header

pytest.importorskip("safetensors")

# Of the forms that there are: a kind of weights, and whether int8's are calibrated.
FORMS = [(weight_dtype, False) for weight_dtype in WEIGHT_DTYPES] + [("int8", True)]
every_form = pytest.mark.parametrize(("weight_dtype", "calibrated"), FORMS)
OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2, "bidirectional": True, "dtype": "float64"},
    {"num_layers": 3, "bias": False, "batch_first": True, "dropout": 0.25},
]
every_option = pytest.mark.parametrize("options", OPTIONS)
TENSOR = {"float16": ("F16", np.float16), "bfloat16": ("U16", np.uint16), "int8": ("I8", np.int8)}


def made(kind: str, weight_dtype: str, calibrated: bool = False, **options: Any) -> tuple[Any, Any]:
    """A model with one weight that is too large for float16, and its smaller form."""
    model = trained(kind, 3, 5, **options)
    weights = model.state_dict()
    weights["weight_hh_l0"][0, 0] = 1e5
    model.load_state_dict(weights)
    return model, model.quantize(weight_dtype, random_x(model, 4, 2) if calibrated else None)


@functools.cache
def saved(kind: str, weight_dtype: str, calibrated: bool = False) -> bytes:
    """What save writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        made(kind, weight_dtype, calibrated)[1].save(path)
        return path.read_bytes()


def described(data: bytes) -> dict[str, Any]:
    """The description in the file's metadata."""
    description: dict[str, Any] = json.loads(header_of(data)[0]["__metadata__"]["lstmfast"])
    return description


def changed(data: bytes, **entries: Any) -> bytes:
    """The file with other entries in that description."""
    header, tensors = header_of(data)
    header["__metadata__"]["lstmfast"] = json.dumps(described(data) | entries)
    return with_header(header, tensors)


def configured(data: bytes, **entries: Any) -> bytes:
    """The file with other entries in its configuration."""
    return changed(data, config=described(data)["config"] | entries)


def with_tensors(data: bytes, tensors: dict[str, Array], without: str = "") -> bytes:
    """The file with other tensors, or more of them, and without one."""
    from safetensors.numpy import load, save

    kept = {name: array for name, array in load(data).items() if name != without}
    return save(kept | tensors, header_of(data)[0]["__metadata__"])


def tensors_of(data: bytes) -> dict[str, Array]:
    """Copies of the tensors in a file."""
    from safetensors.numpy import load

    return {name: array.copy() for name, array in load(data).items()}


def refuses(path: Path, data: bytes, words: str = "") -> None:
    """Loading these bytes is a ValueError that begins with the path and has the words in it."""
    path.write_bytes(data)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is looked at below
        lstmfast.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert words in message, message


def assert_same_model(other: Any, q: Any, model: Any, what: str = "") -> None:
    """Compare all that there is, and calls."""
    assert type(other) is type(q), what
    assert repr(other) == repr(q), what
    assert other.weight_dtype == q.weight_dtype, what
    assert other.dtype is q.dtype, what
    assert (other.batch_first, other.dropout, other.proj_size) == (q.batch_first, q.dropout, q.proj_size)
    assert other.nbytes == q.nbytes, what
    assert dict(other.saturated) == dict(q.saturated), what
    assert_same_bits(dict(other.parameters), dict(q.parameters), what)
    for array in other.parameters.values():
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
    x, state = random_x(model, 6, 4), random_state(model, 4)
    assert_same_bits(other(x, state), q(x, state), what)
    assert_same_bits(other.dequantize().state_dict(), q.dequantize().state_dict(), what)


# What save writes.


@every_form
@every_option
@every_cell
def test_round_trip(
    kind: str, proj_size: int, weight_dtype: str, calibrated: bool, options: dict[str, Any], tmp_path: Path
) -> None:
    model, q = made(kind, weight_dtype, calibrated, proj_size=proj_size, **options)
    path = tmp_path / "model.safetensors"
    q.save(path)
    again = lstmfast.load(path)
    assert again.isa == lstmfast.isa()
    assert_same_model(again, q, model)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.safetensors"]
    path.unlink()  # the model does not need it any more
    assert_same_model(again, q, model)


@every_form
def test_a_file_of_another_isa(
    kind: str, weight_dtype: str, calibrated: bool, isa: str, tmp_path: Path
) -> None:
    model, q = made(kind, weight_dtype, calibrated, isa=isa)
    q.save(tmp_path / "model")
    again = lstmfast.load(tmp_path / "model")
    assert again.isa == lstmfast.isa()
    assert_same_model(again, q, model)


@every_form
@every_option
def test_files_are_ordinary_safetensors(
    weight_dtype: str, calibrated: bool, options: dict[str, Any], tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    model, q = made("lstm", weight_dtype, calibrated, **options)
    path = tmp_path / "model"
    q.save(path)
    tensors = load_file(path)
    assert set(tensors) == set(q.parameters)
    assert_same_bits({name: tensors[name] for name in q.parameters}, dict(q.parameters))
    header = header_of(path.read_bytes())[0]
    assert header["weight_hh_l0"]["dtype"] == TENSOR[weight_dtype][0]
    assert list(header["__metadata__"]) == ["lstmfast"]
    description = described(path.read_bytes())
    assert (description["format"], description["class"]) == (1, "QuantizedLSTM")
    model.save(tmp_path / "float")
    config = described((tmp_path / "float").read_bytes())["config"]
    mine = {"weight_dtype": weight_dtype, "calibrated": calibrated, "saturated": dict(q.saturated)}
    assert description["config"].keys() == config.keys() | mine.keys()
    for name, value in (config | mine).items():
        assert name == "dtype" or description["config"][name] == value, name
    # Written by anyone else, with tensors in another order, it is as good.
    save_file(dict(reversed(tensors.items())), path, header["__metadata__"] | {"other": "entries"})
    assert_same_model(lstmfast.load(path), q, model)


@every_form
def test_files_and_pickles_are_small(weight_dtype: str, calibrated: bool, tmp_path: Path) -> None:
    model = make("lstm", 64, 128)
    q = model.quantize(weight_dtype, random_x(model, 2, 2) if calibrated else None)
    q.save(tmp_path / "small")
    model.save(tmp_path / "large")
    size, large = ((tmp_path / name).stat().st_size for name in ("small", "large"))
    assert q.nbytes < size < q.nbytes + 2500
    assert size < large * (0.3 if weight_dtype == "int8" else 0.52)
    assert q.nbytes < len(pickle.dumps(q)) < q.nbytes + 3000


def test_saturated_is_kept(tmp_path: Path) -> None:
    _, q = made("lstm", "float16")
    assert dict(q.saturated) == {"weight_ih_l0": 0, "weight_hh_l0": 1}
    q.save(tmp_path / "model")
    others: list[Any] = [lstmfast.load(tmp_path / "model"), pickle.loads(pickle.dumps(q)), copy.deepcopy(q)]
    for other in others:
        assert list(other.saturated.items()) == list(q.saturated.items())


def test_save_replaces_other_models(tmp_path: Path) -> None:
    path = tmp_path / "model"
    model, q = made("lstm", "int8")
    for other in (model, q, model.quantize("float16"), model):
        other.save(path)
        assert type(lstmfast.load(path)) is type(other)
        assert_same_bits(dict(lstmfast.load(path).parameters), dict(other.parameters))


@pytest.mark.parametrize(("path", "got"), [(None, "None"), (3, "3 (int)")])
def test_what_is_no_path(path: Any, got: str) -> None:
    with pytest.raises(TypeError) as caught:
        made("lstm", "int8")[1].save(path)
    assert str(caught.value) == f"path: expected a string or a path, got {got}"


def test_without_safetensors(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['safetensors'] = None; import lstmfast\n"
        "try: lstmfast.LSTM(3, 5).quantize('int8').save(sys.argv[1])\n"
        "except ImportError as error: print(error)"
    )
    assert "pip install 'lstmfast[save]'" in run_python(program, str(tmp_path / "model"))
    assert list(tmp_path.iterdir()) == []


# Pickles and copies.


@every_form
@every_option
@every_cell
def test_pickles_and_copies(
    kind: str, proj_size: int, weight_dtype: str, calibrated: bool, options: dict[str, Any]
) -> None:
    model, q = made(kind, weight_dtype, calibrated, proj_size=proj_size, **options)
    for n in range(pickle.HIGHEST_PROTOCOL + 1):
        assert_same_model(pickle.loads(pickle.dumps(q, n)), q, model, f"protocol {n}")
    assert_same_model(copy.copy(q), q, model, "copy")
    assert_same_model(copy.deepcopy(q), q, model, "deepcopy")


@every_weight_dtype
def test_copies_keep_the_isa_and_pickles_do_not(kind: str, weight_dtype: str, isa: str) -> None:
    _, q = made(kind, weight_dtype, isa=isa)
    assert copy.copy(q).isa == copy.deepcopy(q).isa == q.dequantize().isa == isa
    assert pickle.loads(pickle.dumps(q)).isa == lstmfast.isa()
    assert isa.encode() not in pickle.dumps(q)


def test_deepcopy_of_what_holds_a_model_twice() -> None:
    q = made("lstm", "int8")[1]
    first, second = copy.deepcopy([q, q])
    assert first is second
    assert first is not q


@every_form
def test_a_pickle_in_another_process(weight_dtype: str, calibrated: bool, isa: str, tmp_path: Path) -> None:
    import os

    model, q = made("lstm", weight_dtype, calibrated)
    x = random_x(model, 6, 4)
    (tmp_path / "in").write_bytes(pickle.dumps((q, x)))
    program = (
        "import pickle, sys, pathlib; folder = pathlib.Path(sys.argv[1]);"
        "q, x = pickle.loads((folder / 'in').read_bytes());"
        "(folder / 'out').write_bytes(pickle.dumps((q.isa, q(x))))"
    )
    environment = {**os.environ, "LSTMFAST_ISA": isa}
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, env=environment)
    used, results = pickle.loads((tmp_path / "out").read_bytes())
    assert used == isa
    assert_same_bits(results, q(x))


def lying(q: Any, config: dict[str, Any] | None = None, arrays: dict[str, Any] | None = None) -> Any:
    """The same, unpickled with another configuration, or other arrays (None: without it)."""
    state = q.__getstate__()
    state["config"] |= config or {}
    parameters = {name: array for name, array in state["parameters"].items() if name not in (arrays or {})}
    state["parameters"] = parameters | {n: a for n, a in (arrays or {}).items() if a is not None}
    other: Any = object.__new__(type(q))
    other.__setstate__(state)
    return other


def test_pickles_that_lie() -> None:
    model, q = made("lstm", "int8", True)
    assert_same_model(lying(q), q, model)
    # It must not take the time and the memory for as many names.
    with pytest.raises(
        ValueError, match=r"^pickle: expected 6000000001 arrays for 1000000000 layers, got 7$"
    ):
        lying(q, {"num_layers": 10**9})
    with pytest.raises(ValueError, match=r"^pickle: expected the names .*, got missing weight_hr_l0"):
        lying(q, {"proj_size": 2})
    with pytest.raises(ValueError, match=r"^pickle: expected the names .*, got unexpected "):
        lying(q, {"weight_dtype": "float16", "calibrated": False})
    with pytest.raises(ValueError, match=r"^pickle: expected the names .*, got missing weight_hh_l0_scale$"):
        lying(q, arrays={"weight_hh_l0_scale": None})
    wrong: list[tuple[str, Any]] = [
        ("weight_hh_l0", np.zeros((20, 5), np.float32)),
        ("weight_hh_l0", np.zeros((5, 20), np.int8)),
        ("weight_hh_l0", np.full((20, 5), -128, np.int8)),
        ("weight_hh_l0_scale", np.full(20, np.nan, np.float32)),
        ("input_range", np.zeros(3, np.float32)),
        ("bias_ih_l0", np.full(20, np.inf, np.float32)),
    ]
    for name, array in wrong:
        with pytest.raises(ValueError, match=rf"^pickle\['{name}'\]: expected "):
            lying(q, arrays={name: array})


# What save did not write.


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
        ("QuantizedGRU", "'QuantizedGRU' (str)"),
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
    refuses(path, data, "class: expected 'LSTM' or 'RNN' or 'QuantizedLSTM' or 'QuantizedRNN'")


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
