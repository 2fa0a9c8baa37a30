"""What cannot be read or written is refused, with the name of what is wrong and of the convention."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstmfast import GRU, LSTM, RNN

I, H = 3, 4
KERAS = {"kernel": np.ones((I, 4 * H)), "recurrent_kernel": np.ones((H, 4 * H)), "bias": np.ones(4 * H)}
CUDNN = {"input_size": I, "hidden_size": H}


def nam(**changed: Any) -> dict[str, Any]:
    config = {"input_size": 1, "hidden_size": 2, "num_layers": 1}
    count = 8 * 3 + 12 + 3
    return {"architecture": "LSTM", "config": config, "weights": [0.5] * count, **changed}


def rtneural(*types: str) -> dict[str, Any]:
    weights = [np.ones((1, 8)).tolist(), np.ones((2, 8)).tolist(), [0.0] * 8]
    return {"in_shape": [None, None, 1], "layers": [{"type": each, "weights": weights} for each in types]}


READ: list[tuple[Any, str, dict[str, Any], type[Exception], str]] = [
    (KERAS, "kears", {}, ValueError, "convention: expected one of 'pytorch', .*, 'keras', .*got 'kears'"),
    (KERAS, 3, {}, TypeError, "convention: expected one of .*, got 3"),  # type: ignore[list-item]
    (None, "keras", {}, TypeError, "arrays: expected a mapping .* 'keras', got None"),
    ([], "flax", {}, ValueError, "arrays: expected at least one layer, got an empty list"),
    ({"kernel": np.ones((I, 16))}, "keras", {}, ValueError, "missing recurrent_kernel"),
    ({**KERAS, "extra": np.ones(1)}, "keras", {}, ValueError, "of 'keras', got unexpected extra"),
    (
        {**KERAS, "bias": np.ones(3)},
        "keras",
        {},
        ValueError,
        r"\['bias'\]: expected shape \(16,\) \[4\*H\] for 'keras', got \(3,\)",
    ),
    (
        {**KERAS, "kernel": np.ones((I, 15))},
        "keras",
        {},
        ValueError,
        r"\['kernel'\]: expected shape \[I, 4\*H",
    ),
    ({**KERAS, "kernel": "x"}, "keras", {}, TypeError, r"\['kernel'\]: expected an array of real numbers"),
    (KERAS, "keras", {"bias": False}, TypeError, "bias: expected no such argument, which the arrays say"),
    (KERAS, "keras", {"coupled": True}, TypeError, "coupled: expected no such argument"),
    (KERAS, "keras", {"forget_bias": 1.0}, TypeError, "forget_bias: expected none for a LSTM of 'keras'"),
    (
        KERAS,
        "keras",
        {"prefix": "a/"},
        ValueError,
        "prefix: expected what names in arrays begin with",
    ),
    (KERAS, "keras", {"dtype": "float16"}, ValueError, "dtype: expected 'float32' or 'float64'"),
    (np.ones(5), "cudnn", {}, TypeError, "input_size: expected an integer >= 1"),
    (np.ones(5), "cudnn", CUDNN, ValueError, r"arrays: expected shape \(144,\) for 'cudnn', got \(5,\)"),
    (3, "nam", {}, TypeError, "arrays: expected the path of a file of 'nam'"),
    (
        nam(architecture="WaveNet"),
        "nam",
        {},
        ValueError,
        "expected 'LSTM', got 'WaveNet'",
    ),
    (
        nam(weights=[0.5]),
        "nam",
        {"rest": {}},
        ValueError,
        r"expected 39 numbers .*got .*\(1,\)",
    ),
    (nam(), "nam", {}, ValueError, "rest: expected a dict, for the arrays have an initial state h_0"),
    ({}, "nam", {}, ValueError, "expected an object that has 'architecture'"),
    (rtneural("dense"), "rtneural", {}, ValueError, "expected one of type 'lstm', got dense"),
    (
        rtneural("lstm", "dense", "lstm"),
        "rtneural",
        {},
        ValueError,
        "one behind the other, got others",
    ),
    (
        rtneural("lstm", "dense"),
        "rtneural",
        {},
        ValueError,
        "rest: expected a dict, .*, after, got None",
    ),
    (
        (KERAS, KERAS, KERAS),
        "flax",
        {},
        ValueError,
        "a pair of forward and reverse, got a tuple of",
    ),
    ({"weight_ih": np.ones((16, 3))}, "pytorch", {}, ValueError, "expected names like weight_ih_l0"),
    ({"W": np.ones((3, 16, 3))}, "onnx", {}, ValueError, r"first axes are \[D\], D being 1 or 2 directions"),
    (
        [KERAS, KERAS],
        "keras",
        {},
        ValueError,
        r"arrays\[1\]: expected a layer of 4 inputs and",
    ),
]


@pytest.mark.parametrize(("arrays", "convention", "options", "error", "message"), READ)
def test_reading(
    arrays: Any, convention: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        LSTM.from_weights(arrays, convention, **options)


def test_a_gru_that_is_elsewhere_only_otherwise() -> None:
    gru = GRU(I, H, seed=0)
    with pytest.raises(ValueError, match="expected False, which is how 'haiku' has it, got True"):
        gru.to_weights("haiku")
    with pytest.raises(ValueError, match="layer 0 has no form for 'flux': bias_hh: expected zeros for n"):
        gru.to_weights("flux")
    arrays = GRU(I, H, reset_after=False).to_weights("haiku")
    with pytest.raises(ValueError, match="expected False, which is how 'haiku' has it, got True"):
        GRU.from_weights(arrays, "haiku", reset_after=True)


def test_what_a_convention_has_no_arrays_for() -> None:
    with pytest.raises(ValueError, match="expected a layer without peepholes for 'keras', which has none"):
        LSTM(I, H, peephole=True).to_weights("keras")
    with pytest.raises(ValueError, match="expected a layer without a projection for 'keras'"):
        LSTM(I, H, proj_size=2).to_weights("keras")
    with pytest.raises(ValueError, match="expected a layer with all gates for 'pytorch', got"):
        LSTM(I, H, coupled=True).to_weights("pytorch")
    with pytest.raises(ValueError, match="one direction for 'nam'"):
        LSTM(I, H, bidirectional=True).to_weights("nam", rest={})
    with pytest.raises(ValueError, match="rest: expected a dict with 'head_weight'"):
        LSTM(I, H).to_weights("nam")
    with pytest.raises(ValueError, match=r"rest\['head_weight'\]: expected shape \(4,\), got \(3,\)"):
        LSTM(I, H).to_weights("nam", rest={"head_weight": np.ones(3), "head_bias": np.ones(1)})
    with pytest.raises(ValueError, match="expected one with a RNN, got 'nam', which has LSTM"):
        RNN(I, H).to_weights("nam")


def test_a_pair_is_one_layer_and_a_list_a_stack() -> None:
    forward, reverse = (LSTM(H, H, seed=seed).to_weights("flax") for seed in (1, 2))
    pair = LSTM.from_weights((forward, reverse), "flax")
    stack = LSTM.from_weights([forward, reverse], "flax")
    assert (pair.num_layers, pair.bidirectional) == (1, True)
    assert (stack.num_layers, stack.bidirectional) == (2, False)
    assert isinstance(pair.to_weights("flax"), tuple)
    assert isinstance(stack.to_weights("flax"), list)


def test_dtypes() -> None:
    """float64 where all is, else float32; whatever is asked for."""
    half = {name: array.astype(np.float16) for name, array in KERAS.items()}
    mixed = {**KERAS, "bias": KERAS["bias"].astype(np.float32)}
    assert LSTM.from_weights(KERAS, "keras").dtype == np.float64
    assert LSTM.from_weights(KERAS, "keras", dtype="float32").dtype == np.float32
    assert LSTM.from_weights(half, "keras").dtype == np.float32
    assert LSTM.from_weights(mixed, "keras").dtype == np.float32


@pytest.mark.parametrize(("convention", "parsed"), [("nam", nam()), ("rtneural", rtneural("lstm", "dense"))])
def test_files_by_their_paths(tmp_path: Path, convention: str, parsed: dict[str, Any]) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps(parsed), encoding="utf-8")
    rest: dict[str, Any] = {}
    layer = LSTM.from_weights(path, convention, rest=rest)
    assert layer.to_weights(convention, rest=rest)["layers" if convention == "rtneural" else "weights"]
    path.write_text("[1, 2", encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(f"expected a file of '{convention}', JSON, got ")):
        LSTM.from_weights(str(path), convention)
    with pytest.raises(FileNotFoundError):
        LSTM.from_weights(tmp_path / "none", convention)


def test_two_biases_become_their_sum() -> None:
    layer = LSTM(I, H, seed=0)
    own = layer.parameters
    np.testing.assert_array_equal(layer.to_weights("keras")[2], own["bias_ih_l0"] + own["bias_hh_l0"])


def test_the_offset_of_the_forget_gate() -> None:
    """It is in the layer as b_hf, and not in what is written."""
    arrays = {"kernel": np.ones((I + H, 4 * H)), "bias": np.arange(4.0 * H)}
    cases: list[tuple[dict[str, Any], float]] = [({}, 1.0), ({"forget_bias": 0.1}, 0.1)]
    for options, offset in cases:
        layer = LSTM.from_weights(arrays, "tensorflow1", **options)
        assert (layer.parameters["bias_hh_l0"][H : 2 * H] == offset).all()
        np.testing.assert_array_equal(layer.to_weights("tensorflow1", **options)["bias"], arrays["bias"])
