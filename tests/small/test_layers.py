"""Models with smaller weights: what they are, and what they are made of again."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import assert_same_bits, make, random_x
from .helpers import (
    WEIGHT_DTYPES,
    every_cell,
    every_weight_dtype,
    f32,
    quantized_parameters,
    trained,
    widened,
)

QUANTIZED: Any = {
    lstmfast.LSTM: lstmfast.QuantizedLSTM,
    lstmfast.RNN: lstmfast.QuantizedRNN,
    lstmfast.GRU: lstmfast.QuantizedGRU,
}
DTYPE = {"float16": np.float16, "bfloat16": np.uint16, "int8": np.int8}
SETTINGS = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2, "bidirectional": True, "dtype": "float64"},
    {"num_layers": 3, "bias": False, "batch_first": True},
    {"num_layers": 2, "dropout": 0.25, "bidirectional": True},
]
every_option = pytest.mark.parametrize("options", OPTIONS)


# What it is.


def test_the_classes_are_public() -> None:
    assert {"QuantizedLSTM", "QuantizedRNN"} <= set(lstmfast.__all__)


@every_weight_dtype
@every_cell
@every_option
def test_configuration(
    kind: str, proj_size: int, weight_dtype: str, options: dict[str, Any], isa: str
) -> None:
    model = make(kind, 3, 7, proj_size=proj_size, isa=isa, **options)
    q = model.quantize(weight_dtype)
    assert type(q) is QUANTIZED[type(model)]
    assert {name: getattr(q, name) for name in SETTINGS} == {name: getattr(model, name) for name in SETTINGS}
    assert q.proj_size == proj_size
    if kind.startswith("rnn"):
        assert q.nonlinearity == model.nonlinearity
    assert q.isa == isa
    assert q.weight_dtype == weight_dtype
    assert type(q.weight_dtype) is str
    assert q.dtype == np.dtype("float32")
    assert q.dtype is np.dtype("float32")  # or every call would take the slow path


@every_weight_dtype
@every_cell
@every_option
def test_parameters(kind: str, proj_size: int, weight_dtype: str, options: dict[str, Any]) -> None:
    model = trained(kind, 5, 9, proj_size=proj_size, **options)
    q = model.quantize(weight_dtype)
    assert_same_bits(dict(q.parameters), quantized_parameters(model, weight_dtype))
    for name, array in q.parameters.items():
        expected = np.float32 if name.startswith("bias") or name.endswith("scale") else DTYPE[weight_dtype]
        assert array.dtype == expected, name
    assert q.nbytes == sum(array.nbytes for array in q.parameters.values())
    assert dict(q.saturated) == {name: 0 for name in model.parameters if name.startswith("weight")}
    assert all(type(count) is int for count in q.saturated.values())


@every_option
def test_parameters_with_calibration(options: dict[str, Any]) -> None:
    model = trained("lstm", 5, 9, **options)
    x = random_x(model, 20, 3) * f32([1e-3, 1, 0, 300, 1e4])
    q = model.quantize("int8", x)
    assert list(q.parameters)[-1] == "input_range"
    assert_same_bits(dict(q.parameters), quantized_parameters(model, "int8", x))
    assert q.nbytes == model.quantize("int8").nbytes + 4 * 5


def test_bytes() -> None:
    model = make("lstm", 64, 128)
    weights, biases = 512 * (64 + 128), 2 * 512
    assert model.quantize("float16").nbytes == 2 * weights + 4 * biases
    assert model.quantize("bfloat16").nbytes == 2 * weights + 4 * biases
    assert model.quantize("int8").nbytes == weights + 4 * (biases + 2 * 512)


@every_weight_dtype
def test_nothing_can_be_changed(kind: str, weight_dtype: str) -> None:
    q = make(kind, 3, 5).quantize(weight_dtype)
    for array in q.parameters.values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
    for mapping in (q.parameters, q.saturated):
        with pytest.raises(TypeError):
            mapping["weight_ih_l0"] = 0
    for name in (*SETTINGS, "dtype", "weight_dtype", "parameters", "nbytes", "saturated", "isa"):
        with pytest.raises(AttributeError):
            setattr(q, name, getattr(q, name))


@every_weight_dtype
def test_the_model_stays_as_it_is_and_apart(kind: str, weight_dtype: str) -> None:
    model = make(kind, 3, 5)
    before, x = model.state_dict(), random_x(model, 6, 2)
    y = model(x)
    q = model.quantize(weight_dtype)
    assert_same_bits(model.state_dict(), before)
    assert_same_bits(model(x), y)
    expected, parameters = q(x), dict(q.parameters)
    model.load_state_dict({name: np.ones_like(array) for name, array in before.items()})
    assert_same_bits(q(x), expected)
    assert_same_bits(dict(q.parameters), parameters)


@every_weight_dtype
@every_cell
def test_what_it_says_of_itself(kind: str, proj_size: int, weight_dtype: str) -> None:
    for options in OPTIONS:
        model = make(kind, 3, 7, proj_size=proj_size, **options)
        text = repr(model.quantize(weight_dtype))
        name = "Quantized" + kind.partition("_")[0].upper()
        assert text == repr(model.quantize(weight_dtype))
        assert text.startswith(f"<{name}(3, 7"), text
        assert text.endswith(f") of {weight_dtype}>"), text
        assert ("num_layers=" in text) == ("num_layers" in options)
        assert ("proj_size=4" in text) == (proj_size == 4)
        assert ("nonlinearity='relu'" in text) == (kind == "rnn_relu")


def test_only_models_make_them() -> None:
    with pytest.raises(TypeError, match=r"made by LSTM\.quantize"):
        lstmfast.QuantizedLSTM(3, 5)  # type: ignore[call-arg, unused-ignore]
    with pytest.raises(TypeError, match=r"made by RNN\.quantize"):
        lstmfast.QuantizedRNN(3, 5)  # type: ignore[call-arg, unused-ignore]
    with pytest.raises(TypeError, match=r"made by LSTM\.quantize"):
        lstmfast.QuantizedLSTM()


@every_weight_dtype
def test_they_do_not_learn(kind: str, weight_dtype: str) -> None:
    model = make(kind, 3, 5)
    q = model.quantize(weight_dtype)
    for name in ("forward", "backward", "update", "load_state_dict", "state_dict", "to_torch", "from_torch"):
        assert hasattr(model, name)
        assert not hasattr(q, name), name
        assert name not in dir(q), name
    assert not hasattr(q, "quantize")
    with pytest.raises(TypeError, match=r"^model: expected an LSTM, a GRU or an RNN"):
        lstmfast.gradient_flow(q, np.zeros((3, 1, 3)), lambda y: (0.0, y))


def test_a_subclass_gives_the_plain_class() -> None:
    class Mine(lstmfast.LSTM):
        pass

    model = Mine(3, 5, seed=0)
    for weight_dtype in WEIGHT_DTYPES:
        q = model.quantize(weight_dtype)
        assert type(q) is lstmfast.QuantizedLSTM
        assert type(q.dequantize()) is lstmfast.LSTM


@every_weight_dtype
@every_cell
def test_dropout_plays_no_part(kind: str, proj_size: int, weight_dtype: str) -> None:
    options: dict[str, Any] = {"num_layers": 3, "proj_size": proj_size}
    model, plain = (make(kind, 3, 7, dropout=dropout, **options) for dropout in (0.9, 0.0))
    x = random_x(model, 9, 4)
    q = model.quantize(weight_dtype)
    assert q.dropout == 0.9
    assert_same_bits(q(x), plain.quantize(weight_dtype)(x))
    assert_same_bits(q(x), q(x))


# And back.


@every_weight_dtype
@every_cell
@every_option
def test_dequantize(kind: str, proj_size: int, weight_dtype: str, options: dict[str, Any]) -> None:
    model = trained(kind, 5, 9, proj_size=proj_size, **options)
    q = model.quantize(weight_dtype)
    back = q.dequantize()
    assert type(back) is type(model)
    assert back.dtype is np.dtype("float32")
    plain = make(kind, 5, 9, proj_size=proj_size, **(options | {"dtype": "float32"}))
    assert repr(back) == repr(plain)
    assert list(back.parameters) == list(model.parameters)
    for name, array in back.parameters.items():
        stored = q.parameters[name]
        if name.startswith("bias"):
            assert_same_bits(array, stored, name)
        elif weight_dtype == "int8":
            scale = q.parameters[f"{name}_scale"][:, np.newaxis]
            assert_same_bits(array, stored * scale, name)
            # Half of a step, and what float32 loses.
            off = np.abs(array - model.parameters[name].astype(np.float64))
            assert (off <= scale * 0.50002).all(), name
        else:
            assert_same_bits(array, widened(stored), name)
    # Nothing is lost twice.
    again = back.quantize(weight_dtype)
    for name, array in again.parameters.items():
        if name.endswith("_scale"):
            np.testing.assert_allclose(array, q.parameters[name], rtol=3e-7)
        else:
            assert_same_bits(array, q.parameters[name], name)


def test_dequantize_with_calibration() -> None:
    model = trained("lstm", 5, 9, num_layers=2, bidirectional=True)
    sizes = f32([1e-3, 1, 1e-2, 300, 1e4])
    x = random_x(model, 20, 3) * sizes
    q = model.quantize("int8", x)
    back = q.dequantize()
    for name, array in back.parameters.items():
        if name.startswith("weight"):
            step = q.parameters[f"{name}_scale"][:, np.newaxis].astype(np.float64)
            expected = q.parameters[name] * step
            if name.startswith("weight_ih_l0"):
                expected, step = expected / q.parameters["input_range"], step / q.parameters["input_range"]
            np.testing.assert_allclose(array, expected, rtol=3e-7, err_msg=name)
            assert (np.abs(array - model.parameters[name]) <= step * 0.50002).all(), name


def test_what_comes_back_can_be_trained() -> None:
    q = make("lstm", 3, 5, num_layers=2).quantize("int8")
    back = q.dequantize()
    before, x = dict(q.parameters), random_x(back, 6, 2)
    expected = q(x)
    y, _, tape = back.forward(x)
    grads = back.backward(tape, y).parameters
    back.update({name: back.parameters[name] - 0.1 * grads[name] for name in grads})
    assert_same_bits(dict(q.parameters), before)
    assert_same_bits(q(x), expected)


@every_weight_dtype
def test_copies_share_nothing_that_changes(weight_dtype: str) -> None:
    model = make("lstm", 3, 5, num_layers=2)
    q = model.quantize(weight_dtype)
    x = random_x(model, 6, 2)
    for other in (copy.copy(q), copy.deepcopy(q)):
        assert type(other) is type(q)
        assert repr(other) == repr(q)
        assert_same_bits(other(x), q(x))
        assert_same_bits(dict(other.parameters), dict(q.parameters))
        assert dict(other.saturated) == dict(q.saturated)


@every_weight_dtype
def test_dequantized_weights_stay_read_only(weight_dtype: str) -> None:
    model = lstmfast.LSTM(3, 5, seed=0).quantize(weight_dtype).dequantize()
    for array in model.parameters.values():
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True


def test_attributes_of_subclasses_are_their_own() -> None:
    """Also those that quantised layers have under the same names."""

    class Own(lstmfast.LSTM):
        _calibrated: list[int]

    model = Own(3, 5, seed=0)
    model._calibrated = [1]
    again = copy.deepcopy(model)
    assert again._calibrated == [1]
    assert again._calibrated is not model._calibrated
    assert model.__getstate__()["extra"] == {"_calibrated": [1]}
