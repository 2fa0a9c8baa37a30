"""Models of layers: valid, of our shapes, run by ONNX Runtime, and the same layer when read again."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstmfast
import lstmfast.onnx
from lstmfast._base.kinds import class_named
from lstmfast._files import onnx_model

from ..helpers import Array, assert_same_bits, parts, random_state, random_x
from ..layers.variants import options_of
from .helpers import onnx, run_by_runtime

KINDS = ("LSTM", "GRU", "RNN")
SMALLER = ("float16", "bfloat16", "int8")
T, B, I, H = 7, 4, 3, 5
LENGTHS = np.array([7, 1, 4, 6], np.int32)  # none is 0, of which ONNX Runtime makes another last state


def layer_of(kind: str, **options: Any) -> Any:
    return class_named(kind)(I, H, **{"seed": 0, **options})


def results(layer: Any, x: Array, state: Any = None, lengths: Any = None) -> list[Array]:
    """What a call returns, as the outputs of a model."""
    y, end = layer(x, state, lengths=lengths)
    return [y, *parts(end)]


def inputs_of(layer: Any, *, states: bool, lengths: bool, steps: int) -> tuple[dict[str, Array], Any]:
    """Inputs of a model, and its state as a call takes it."""
    given: dict[str, Array] = {"x": random_x(layer, steps, B)}
    state = random_state(layer, B) if states else None
    if lengths:
        given["lengths"] = np.minimum(LENGTHS, steps)
    if states:
        given |= dict(zip(("h_0", "c_0"), parts(state), strict=False))
    return given, state


def assert_as_runtime(
    layer: Any, *, states: bool = False, lengths: bool = False, opset: int = 14, steps: int = T
) -> None:
    """Check the model, and compare ONNX Runtime's results with a call's (of smaller weights, dequantized)."""
    model = lstmfast.onnx.export(layer, states=states, lengths=lengths, opset=opset)
    onnx.checker.check_model(model, full_check=True)
    given, state = inputs_of(layer, states=states, lengths=lengths, steps=steps)
    assert [each.name for each in model.graph.input] == list(given)
    found = run_by_runtime(model, given)
    whole = layer.dequantize() if hasattr(layer, "dequantize") else layer
    expected = results(whole, given["x"], state, given.get("lengths"))
    names = ["y", "h_n", "c_n"][: len(expected)]
    assert [each.name for each in model.graph.output] == names
    for name, a, b in zip(names, found, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 * max(1, np.abs(b).max()), err_msg=name)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_layouts(kind: str, num_layers: int, bidirectional: bool, batch_first: bool) -> None:
    for bias, states, lengths in itertools.product((True, False), repeat=3):
        options = {"num_layers": num_layers, "bidirectional": bidirectional, "batch_first": batch_first}
        assert_as_runtime(layer_of(kind, bias=bias, **options), states=states, lengths=lengths)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(data=st.data())
def test_options(data: st.DataObject, kind: str) -> None:
    options = {**data.draw(options_of(kind)), "proj_size": 0}
    if kind != "LSTM":
        del options["proj_size"]
    layer = layer_of(kind, **options)
    states, lengths = data.draw(st.booleans()), data.draw(st.booleans())
    # Few steps, small weights: gates that have no bounds make more of each rounding at every step.
    layer.load_state_dict({name: array / 4 for name, array in layer.parameters.items()})
    assert_as_runtime(layer, states=states, lengths=lengths, steps=3)


@pytest.mark.parametrize("opset", [13, 14, 17, 18, 21, 22])
def test_opsets(opset: int) -> None:
    if opset > onnx.defs.onnx_opset_version():
        pytest.skip("not in this version of onnx")
    layer = layer_of("LSTM", num_layers=2, bidirectional=True, batch_first=True)
    for each in (layer, layer.quantize("int8"), layer.quantize("bfloat16")):
        assert_as_runtime(each, states=True, opset=opset)
        assert lstmfast.onnx.export(each, opset=opset).opset_import[0].version == opset


def test_the_version_of_the_format_is_as_low_as_may_be() -> None:
    """So that engines of the last years read the model."""
    model = lstmfast.onnx.export(layer_of("LSTM"))
    assert (model.opset_import[0].version, model.ir_version) == (14, 7)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_both_rnns(nonlinearity: str) -> None:
    assert_as_runtime(layer_of("RNN", nonlinearity=nonlinearity, num_layers=2))


@pytest.mark.parametrize("smaller", SMALLER)
@pytest.mark.parametrize("kind", KINDS)
def test_smaller_weights(kind: str, smaller: str) -> None:
    for bidirectional in (False, True):
        layer = layer_of(kind, num_layers=2, bidirectional=bidirectional)
        assert_as_runtime(layer.quantize(smaller), states=True, lengths=True)
    assert_as_runtime(layer_of(kind, direction="reverse", clip=0.3).quantize(smaller))


def test_int8_with_a_calibration() -> None:
    x = random_x(layer_of("LSTM"), 20, 3) * np.array([1, 100, 0.01], np.float32)
    assert_as_runtime(layer_of("LSTM", num_layers=2, bidirectional=True).quantize("int8", calibration=x))


@pytest.mark.parametrize("smaller", SMALLER)
def test_smaller_weights_stay_small(smaller: str) -> None:
    lstm = lstmfast.LSTM(64, 64, seed=0)
    small = lstm.quantize(smaller)
    size = lstmfast.onnx.export(small).ByteSize()
    assert size < small.nbytes + 2000
    assert size < lstmfast.onnx.export(lstm).ByteSize() * {"int8": 0.3}.get(smaller, 0.53)


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_are_inferred(kind: str) -> None:
    """By onnx, from nodes and weights alone, as they are declared."""
    for num_layers, bidirectional, batch_first in itertools.product((1, 2), (False, True), (False, True)):
        layer = layer_of(kind, num_layers=num_layers, bidirectional=bidirectional, batch_first=batch_first)
        model = lstmfast.onnx.export(layer, states=True, lengths=True)
        declared = {each.name: axes(each) for each in model.graph.output}
        for each in model.graph.output:
            each.type.tensor_type.ClearField("shape")
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        found = {each.name: axes(each) for each in inferred.graph.output}
        D = 2 if bidirectional else 1
        y = ("batch", "time") if batch_first else ("time", "batch")
        assert declared["y"] == (*y, D * H)
        assert declared["h_n"] == (num_layers * D, "batch", H)
        for name, shape in declared.items():  # where it gives up it has no name for an axis
            assert len(found[name]) == 3
            assert all(a == b or a == "" for a, b in zip(found[name], shape, strict=True)), name
            assert found[name][2 if name == "y" else 0] == shape[2 if name == "y" else 0]
        for each in model.graph.input:
            assert axes(each)[0 if each.name != "x" else -1] in {"batch", I, num_layers * D}


def axes(each: Any) -> tuple[int | str, ...]:
    """Sizes, or names, of a value's axes."""
    return tuple(
        axis.dim_value if axis.HasField("dim_value") else axis.dim_param
        for axis in each.type.tensor_type.shape.dim
    )


def test_sizes_are_free() -> None:
    """Also no steps, which -1 in a shape would make unclear. (No rows end ONNX Runtime's process.)"""
    for bidirectional, batch_first in itertools.product((False, True), repeat=2):
        layer = layer_of("LSTM", num_layers=2, bidirectional=bidirectional, batch_first=batch_first)
        model = lstmfast.onnx.export(layer)
        for steps, rows in ((1, 1), (9, 2), (0, 2)):
            x = random_x(layer, steps, rows)
            y, h_n, c_n = run_by_runtime(model, {"x": x})
            expected = results(layer, x)
            assert [y.shape, h_n.shape, c_n.shape] == [each.shape for each in expected]
            np.testing.assert_allclose(y, expected[0], rtol=0, atol=2e-6)


@pytest.mark.parametrize("batch_first", [False, True])
def test_sizes_that_are_given(batch_first: bool) -> None:
    layer = layer_of("LSTM", num_layers=2, batch_first=batch_first)
    model = lstmfast.onnx.export(layer, states=True, lengths=True, time=7, batch=4)
    onnx.checker.check_model(model, full_check=True)
    x = (4, 7) if batch_first else (7, 4)
    assert {each.name: axes(each) for each in (*model.graph.input, *model.graph.output)} == {
        "x": (*x, I),
        "lengths": (4,),
        "y": (*x, H),
        **dict.fromkeys(("h_0", "c_0", "h_n", "c_n"), (2, 4, H)),
    }
    given, state = inputs_of(layer, states=True, lengths=True, steps=7)
    expected = results(layer, given["x"], state, given["lengths"])
    for a, b in zip(run_by_runtime(model, given), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6)
    one = lstmfast.onnx.export(layer, batch=1).graph.input[0]
    assert axes(one) == ((1, "time", I) if batch_first else ("time", 1, I))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("smaller", SMALLER)
def test_smaller_weights_run_on_our_kernels(kind: str, smaller: str) -> None:
    """ONNX Runtime folds what widens them, so that they are constants of their nodes."""
    pytest.importorskip("onnxruntime")
    layer = layer_of(kind, num_layers=2, bidirectional=True)
    found = lstmfast.onnx.explain(lstmfast.onnx.export(layer.quantize(smaller)))
    assert [(node.operator, node.path) for node in found.nodes] == [(kind, "lstmfast")] * 2


# And back.


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(data=st.data())
def test_the_same_layer_is_read_again(data: st.DataObject, kind: str) -> None:
    """Weights and results with the same bits."""
    options = {**data.draw(options_of(kind)), "num_layers": 1}
    options.pop("proj_size", None)
    if kind == "RNN" and options.get("activations") == ["Relu"]:  # another name of the same
        del options["activations"]
        options["nonlinearity"] = "relu"
    layer = layer_of(kind, dtype=data.draw(st.sampled_from(("float32", "float64"))), **options)
    if layer.dtype == np.float64 and not layer._variant.plain:
        layer = layer_of(kind, **options)  # numbers of options are float32 in ONNX
    smaller = data.draw(st.sampled_from((None, *SMALLER)))
    exported = layer if smaller is None else layer.quantize(smaller)
    expected = layer if smaller is None else exported.dequantize()
    (again,) = lstmfast.onnx.layers(lstmfast.onnx.export(exported)).values()
    assert repr(again) == repr(expected)
    assert_same_bits(dict(again.parameters), dict(expected.parameters))
    x = random_x(layer, T, B)
    assert_same_bits(results(again, x), results(expected, x))


def test_layers_of_a_stack_are_read_one_by_one() -> None:
    stack = layer_of("GRU", num_layers=3, bidirectional=True)
    found = lstmfast.onnx.layers(lstmfast.onnx.export(stack))
    assert list(found) == ["GRU_l0", "GRU_l1", "GRU_l2"]
    x = random_x(stack, T, B)
    y: Any = x
    for layer in found.values():
        y, _ = layer(y)
    assert_same_bits(y, stack(x)[0])


def test_the_largest_of_all_is_no_infinity() -> None:
    """Whose whole numbers times their scale would be one."""
    lstm = layer_of("LSTM")
    weight = lstm.state_dict()["weight_hh_l0"]
    weight[0] = np.finfo(np.float32).max
    lstm.update({"weight_hh_l0": weight})
    small = lstm.quantize("int8")
    (again,) = lstmfast.onnx.layers(lstmfast.onnx.export(small)).values()
    assert_same_bits(dict(again.parameters), dict(small.dequantize().parameters))
    assert np.isfinite(again.parameters["weight_hh_l0"]).all()


def test_double() -> None:
    """Checked, but by ONNX Runtime, which has no such kernels."""
    layer = layer_of("LSTM", dtype="float64", num_layers=2, bidirectional=True, batch_first=True)
    model = lstmfast.onnx.export(layer, states=True)
    onnx.checker.check_model(model, full_check=True)
    assert {each.type.tensor_type.elem_type for each in (*model.graph.input, *model.graph.output)} == {11}


def test_dropout_is_left_out() -> None:
    plain, dropping = (
        layer_of("LSTM", num_layers=2),
        layer_of("LSTM", num_layers=2, dropout=0.5, recurrent_dropout=0.5),
    )
    assert lstmfast.onnx.export(plain) == lstmfast.onnx.export(dropping)


def test_a_subclass_is_what_it_is_of() -> None:
    class Mine(lstmfast.GRU):
        """A user's own."""

    model = lstmfast.onnx.export(Mine(I, H, seed=0))
    assert model == lstmfast.onnx.export(layer_of("GRU"))


# Files.


@pytest.mark.parametrize("smaller", [None, *SMALLER])
def test_files(smaller: str | None, tmp_path: Path) -> None:
    layer = layer_of("LSTM")
    layer = layer if smaller is None else layer.quantize(smaller)
    path = tmp_path / "model.onnx"
    layer.to_onnx(path, states=True, lengths=True, opset=17)
    assert onnx.load(path) == lstmfast.onnx.export(layer, states=True, lengths=True, opset=17)
    layer.to_onnx(str(path))
    assert onnx.load(path) == lstmfast.onnx.export(layer)
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_a_file_stays_if_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"before")

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="No space left"):
        layer_of("LSTM").to_onnx(path)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["model.onnx"]
    with pytest.raises(FileNotFoundError):
        layer_of("LSTM").to_onnx(tmp_path / "no" / "folder")


def test_more_than_a_file_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_model, "LARGEST", 500)
    message = r"to_onnx: expected weights of less than 2 GiB, .*, got \d+ bytes; onnx\.save_model\("
    with pytest.raises(ValueError, match=message):
        layer_of("LSTM").to_onnx(tmp_path / "model.onnx")
    assert os.listdir(tmp_path) == []
    lstmfast.onnx.export(layer_of("LSTM"))  # as the message says


# What ONNX does not have, and mistakes.


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        (
            lstmfast.LayerNormLSTM(I, H),
            TypeError,
            "expected a kind of layer that ONNX has, got LayerNormLSTM",
        ),
        (
            lstmfast.LSTM(I, H, proj_size=2),
            ValueError,
            "expected a layer that ONNX has a node for, got one with proj_size=2",
        ),
        (
            lstmfast.LSTM(I, H, proj_size=2, zoneout=0.5).quantize("int8"),
            ValueError,
            "expected a layer that ONNX has a node for, got one with proj_size=2, zoneout=0.5",
        ),
        (lstmfast.GRU(I, H, zoneout=0.25), ValueError, "got one with zoneout=0.25"),
    ],
)
def test_what_onnx_does_not_have(layer: Any, error: type[Exception], message: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=f"^to_onnx: .*{message}$"):
        layer.to_onnx(tmp_path / "model.onnx")
    with pytest.raises(error, match=f"^export: .*{message}$"):
        lstmfast.onnx.export(layer)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"states": 1}, TypeError, "states: expected True or False, got 1"),
        ({"lengths": None}, TypeError, "lengths: expected True or False, got None"),
        ({"time": 0}, ValueError, "time: expected an integer >= 1, got 0"),
        ({"batch": "3"}, TypeError, "batch: expected an integer >= 1, got '3'"),
        ({"opset": 12}, ValueError, "opset: expected an integer >= 13, got 12"),
        ({"opset": 1000}, ValueError, "opset: expected an integer <= "),
        ({"opset": "14"}, TypeError, "opset: expected an integer >= 13, got '14'"),
        ({"opset": True}, TypeError, "opset: expected an integer >= 13, got the bool True"),
    ],
)
def test_wrong_options(options: Any, error: type[Exception], message: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=f"^{message}"):
        layer_of("LSTM").to_onnx(tmp_path / "model.onnx", **options)
    with pytest.raises(error, match=f"^{message}"):
        lstmfast.onnx.export(layer_of("LSTM"), **options)


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match=r"^path: expected a string or a path, got 3"):
        layer_of("LSTM").to_onnx(3)
    with pytest.raises(
        TypeError, match=r"^layer: expected a layer of lstmfast, got an object of type Dense$"
    ):
        lstmfast.onnx.export(lstmfast.training.Dense(3, 2))  # type: ignore[arg-type]
