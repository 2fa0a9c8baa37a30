"""LSTMs of whole numbers, as ONNX Runtime's quantize_dynamic writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast
import lstmfast.onnx

from ..helpers import Array, assert_same_bits, random
from ..onnx_nodes import COUPLED, COUPLED_PEEPHOLES, GATES, PEEPHOLES
from .helpers import B, H, I, T, helper, numpy_helper, onnx, output, run_by_runtime, value, whole

NAMES = ("X", "W", "R", "B", "", "", "", "P", "W_scale", "W_zero_point", "R_scale", "R_zero_point")


def constants(
    *,
    D: int = 1,
    kind: str = "int8",
    zero: int = 0,
    columns: bool = False,
    low: int = -127,
    peephole: bool = False,
) -> dict[str, Array]:
    """Weights: W and R whole numbers from `low` on, by the inputs' names."""
    rng = np.random.default_rng(0)
    found: dict[str, Array] = {"B": random((D, 8 * H), seed=4, scale=0.3)}
    for name, size in (("W", I), ("R", H)):
        whole_numbers = rng.integers(low, 128, (D, size, 4 * H))
        found[name] = (whole_numbers + zero).astype(kind)
        found[name].flat[0] = low + zero
        shape = (D, 4 * H) if columns else (D,)
        found[f"{name}_scale"] = rng.uniform(0.003, 0.006, shape).astype(np.float32)
        found[f"{name}_zero_point"] = np.full(shape, zero, kind)
    if peephole:
        found["P"] = random((D, 3 * H), seed=5, scale=0.5)
    return found


def model_of(given: dict[str, Array], **attributes: Any) -> Any:
    D = len(given["W"])
    if D == 2:
        attributes["direction"] = "bidirectional"
    node = helper.make_node(
        "DynamicQuantizeLSTM",
        [name if name in (*given, "X") else "" for name in NAMES],
        ["Y", "Y_h", "Y_c"],
        name="node",
        domain="com.microsoft",
        **{"hidden_size": H, **attributes},
    )
    tensors = [numpy_helper.from_array(array, name) for name, array in given.items()]
    outputs = [output("Y"), output("Y_h", rank=3), output("Y_c", rank=3)]
    graph = helper.make_graph([node], "graph", [value("X", random((T, B, I)))], outputs, tensors)
    return whole(graph, domains=["com.microsoft"])


def upright(array: Array, gates: Any) -> Array:
    """A direction's matrix, or its columns' numbers, as rows with gates in our order."""
    parts = np.split(array.T if array.ndim == 2 else array, 4)
    return np.concatenate([parts[gate] for gate in gates])


def expected(given: dict[str, Array], *, coupled: bool = False) -> dict[str, Array]:
    """The parameters of int8."""
    gates = COUPLED if coupled else GATES["LSTM"]
    found: dict[str, Array] = {}
    for d, way in enumerate(("", "_reverse")[: len(given["W"])]):
        for name, ours in (("W", "weight_ih"), ("R", "weight_hh")):
            zero = given[f"{name}_zero_point"][d].astype(np.int32)
            found[f"{ours}_l0{way}"] = upright((given[name][d] - zero).astype(np.int8), gates)
            scale = np.ones(4 * H, np.float32) * given[f"{name}_scale"][d]
            found[f"{ours}_l0{way}_scale"] = upright(scale, gates)
        for half, ours in zip(np.split(given["B"][d], 2), ("bias_ih", "bias_hh"), strict=True):
            found[f"{ours}_l0{way}"] = upright(half, gates)
        if "P" in given:
            order = COUPLED_PEEPHOLES if coupled else PEEPHOLES
            found[f"weight_ch_l0{way}"] = np.stack([np.split(given["P"][d], 3)[gate] for gate in order])
    return found


@pytest.mark.parametrize("D", [1, 2])
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize(("kind", "zero"), [("int8", 0), ("uint8", 128)])
def test_int8_as_it_is(kind: str, zero: int, columns: bool, D: int) -> None:
    given = constants(D=D, kind=kind, zero=zero, columns=columns)
    layer: Any = lstmfast.onnx.layers(model_of(given))["node"]
    assert type(layer) is lstmfast.QuantizedLSTM
    assert layer.weight_dtype == "int8"
    assert set(layer.saturated.values()) == {0}
    found = dict(layer.parameters)
    assert_same_bits({name: found[name] for name in sorted(found)}, dict(sorted(expected(given).items())))


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_options(direction: str) -> None:
    given = constants(peephole=True)
    del given["B"]
    model = model_of(
        given, direction=direction, clip=0.5, input_forget=1, activations=["HardSigmoid", "Tanh", "Elu"]
    )
    layer: Any = lstmfast.onnx.layers(model)["node"]
    assert repr(layer) == (
        f"<QuantizedLSTM({I}, {H}, bias=False, peephole=True, coupled=True, clip=0.5,"
        " activations=(('HardSigmoid', 0.2, 0.5), 'Tanh', ('Elu', 1.0))"
        + (", direction='reverse'" if direction == "reverse" else "")
        + ") of int8>"
    )
    wanted = expected({**given, "B": np.zeros((1, 8 * H), np.float32)}, coupled=True)
    assert_same_bits({name: wanted[name] for name in layer.parameters}, dict(layer.parameters))


@pytest.mark.parametrize(
    "change",
    [
        {"low": -128},  # of which ours have no -128
        {"kind": "uint8", "zero": 120, "low": -120},  # from -120 to 135
        {"scale": 1e-39},  # none that is a normal number
        {"scale": 0.0},
        {"scale": -0.004},
        {"scale": np.inf},
    ],
)
def test_what_int8_layers_do_not_have_is_an_lstm_of_floats(change: dict[str, Any]) -> None:
    """Of the numbers that the whole ones stand for."""
    scale = change.pop("scale", None)
    given = constants(**change)
    if change.get("kind") == "uint8":
        given["R"].flat[1] = 255
    if scale is not None:
        given["R_scale"][:] = scale
    layer: Any = lstmfast.onnx.layers(model_of(given))["node"]
    assert type(layer) is lstmfast.LSTM
    for name, ours in (("W", "weight_ih_l0"), ("R", "weight_hh_l0")):
        whole_numbers = given[name][0].astype(np.float32) - np.float32(given[f"{name}_zero_point"][0])
        with np.errstate(invalid="ignore"):
            floats = whole_numbers * given[f"{name}_scale"][0]
        assert_same_bits(layer.parameters[ours], upright(floats, GATES["LSTM"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W": np.zeros((1, I, 4 * H), np.int16)}, "expected W of int8 or uint8, got int16"),
        ({"W": np.zeros((1, 4 * H, I), np.int8)}, r"expected W of shape \(1, 20, 20\), for 1 directions, "),
        ({"R_scale": np.ones(3, np.float32)}, r"expected R_scale of shape \(1,\) or \(1, 20\), got \(3,\)"),
        (
            {"W_zero_point": np.zeros((2, 2), np.int8)},
            r"expected W_zero_point of shape \(1,\) or \(1, 20\), ",
        ),
        ({"W_scale": None}, "expected W_scale, got none"),
    ],
)
def test_wrong_weights(change: dict[str, Any], message: str) -> None:
    given = {name: array for name, array in (constants() | change).items() if array is not None}
    with pytest.raises(ValueError, match=rf"node 'node' \(DynamicQuantizeLSTM\): {message}"):
        lstmfast.onnx.layers(model_of(given))


def test_without_a_zero_point() -> None:
    given = constants()
    layer: Any = lstmfast.onnx.layers(model_of(given))["node"]
    del given["W_zero_point"], given["R_zero_point"]
    other: Any = lstmfast.onnx.layers(model_of(given))["node"]
    assert_same_bits(dict(other.parameters), dict(layer.parameters))


# As the tool writes them.


def quantized(lstm: Any, folder: Path, **options: Any) -> Any:
    quantization = pytest.importorskip("onnxruntime.quantization")
    lstm.to_onnx(folder / "model.onnx")
    quantization.quantize_dynamic(folder / "model.onnx", folder / "quantized.onnx", **options)
    return onnx.load(folder / "quantized.onnx")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_what_quantize_dynamic_writes(per_channel: bool, bidirectional: bool, tmp_path: Path) -> None:
    """Each number within half a step of what it was; results as near as they are with ONNX Runtime."""
    lstm = lstmfast.LSTM(16, 32, bidirectional=bidirectional, seed=0)
    model = quantized(lstm, tmp_path, per_channel=per_channel, reduce_range=True)
    (layer,) = lstmfast.onnx.layers(model).values()
    assert isinstance(layer, lstmfast.QuantizedLSTM)
    for name, array in layer.dequantize().parameters.items():
        scale = layer.parameters.get(f"{name}_scale")
        step = 0 if scale is None else scale[:, np.newaxis]
        assert (np.abs(array - lstm.parameters[name]) <= 0.501 * step).all(), name
    x = random((20, 1, 16), seed=1)  # one row: ONNX Runtime rounds all rows of a batch alike
    y, _ = lstm(x)
    by_runtime = np.abs(run_by_runtime(model, {"x": x})[0] - y).max()
    ours = np.abs(layer(x)[0] - y).max()
    assert ours < 1.5 * by_runtime < 0.03
