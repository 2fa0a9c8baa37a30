"""Files, pickles and copies of models with smaller weights: small, and the same bits."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..core_helpers import run_python
from ..helpers import assert_same_bits, make, random_state, random_x
from ..small.helpers import every_cell, every_weight_dtype
from .helpers import header_of
from .quantized import TENSOR, described, every_form, made

pytest.importorskip("safetensors")

OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2, "bidirectional": True, "dtype": "float64"},
    {"num_layers": 3, "bias": False, "batch_first": True, "dropout": 0.25},
]
every_option = pytest.mark.parametrize("options", OPTIONS)


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
