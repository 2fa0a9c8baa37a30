"""`from_weights` and `to_weights`: what they take and give, what they lose, and what they say of mistakes.

That the arrays mean what frameworks mean by them is proved in tests/frameworks.
"""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast import GRU, LSTM, RNN
from lstmfast._base.conventions.table import TABLE

from ..helpers import Array, assert_same_bits, random

I, H = 3, 4
CLASSES = {"LSTM": LSTM, "GRU": GRU, "RNN": RNN}
# Every row of arrays by name, with every kind that it has. Files and blobs: tests/weights.
ROWS_AND_KINDS = [(row.name, kind) for row in TABLE.values() if not row.file for kind in row.forms]


def layer_for(name: str, kind: str, **options: Any) -> Any:
    """A layer whose weights the convention has a place for."""
    form = TABLE[name].forms[kind][0]
    if kind == "GRU" and not form.reset_after:
        options["reset_after"] = False
    layer = CLASSES[kind](I, H, seed=0, **options)
    if kind == "GRU" and form.reset_after and "n" not in form.parts.get("bh", ""):
        zero = {key: array.copy() for key, array in layer.parameters.items() if "bias_hh" in key}
        for array in zero.values():
            array[2 * H :] = 0
        layer.update(zero)
    return layer


def read(layer: Any, arrays: Any, name: str, **options: Any) -> Any:
    if isinstance(layer, RNN):
        options["nonlinearity"] = "tanh"
    return type(layer).from_weights(arrays, name, **options)


def same(actual: Any, expected: Any) -> None:
    if isinstance(expected, (list, tuple)):
        assert type(actual) is type(expected)
        for one, other in zip(actual, expected, strict=True):
            same(one, other)
    elif isinstance(expected, dict):
        assert set(actual) == set(expected)
        for key in expected:
            same(actual[key], expected[key])
    else:
        assert_same_bits(actual, expected)


@pytest.mark.parametrize("shape", [{}, {"num_layers": 3}, {"bidirectional": True, "num_layers": 2}])
@pytest.mark.parametrize(("name", "kind"), ROWS_AND_KINDS)
def test_there_and_back(name: str, kind: str, shape: dict[str, Any], dtype: str) -> None:
    layer = layer_for(name, kind, dtype=dtype, **shape)
    arrays = layer.to_weights(name)
    again = read(layer, arrays, name)
    assert again._config() == layer._config()
    x = random((5, 2, I), dtype)
    np.testing.assert_allclose(again(x)[0], layer(x)[0], rtol=0, atol=1e-6 if dtype == "float32" else 1e-14)
    same(again.to_weights(name), arrays)


@pytest.mark.parametrize(("name", "kind"), ROWS_AND_KINDS)
def test_arrays_are_copies(name: str, kind: str) -> None:
    layer = layer_for(name, kind)
    before = layer.state_dict()
    for array in leaves(layer.to_weights(name)):
        array.fill(np.nan)  # which is writeable, too
    assert_same_bits(layer.state_dict(), before)


def leaves(arrays: Any) -> list[Array]:
    if isinstance(arrays, dict):
        return [leaf for inner in arrays.values() for leaf in leaves(inner)]
    if isinstance(arrays, (list, tuple)):
        return [leaf for inner in arrays for leaf in leaves(inner)]
    return [arrays]


def keras(inputs: int = I, units: int = H, gates: int = 4) -> list[Array]:
    rows = gates * units
    return [random((inputs, rows)), random((units, rows), seed=1), random((rows,), seed=2)]


# What arrays may be.


def test_a_stack_is_a_list() -> None:
    lstm = LSTM.from_weights([keras(), keras(H)], "keras")
    assert (lstm.num_layers, lstm.bidirectional) == (2, False)
    assert_same_bits(lstm.parameters["weight_ih_l1"], keras(H)[0].T)


def test_a_pair_is_two_directions() -> None:
    lstm = LSTM.from_weights([(keras(), keras())], "keras")
    assert (lstm.num_layers, lstm.bidirectional) == (1, True)
    same(lstm.to_weights("keras"), [*keras(), *keras()])  # as Bidirectional.get_weights() has them
    deep = LSTM.from_weights([[*keras(), *keras()], [*keras(2 * H), *keras(2 * H)]], "keras")
    assert (deep.num_layers, deep.bidirectional) == (2, True)


def test_names_in_place_of_a_list() -> None:
    named = dict(zip(("bias", "kernel", "recurrent_kernel"), (keras()[2], *keras()[:2]), strict=True))
    same(LSTM.from_weights(named, "keras").to_weights("keras"), keras())


def test_attributes() -> None:
    cell = SimpleNamespace(weight_ih=random((4 * H, I)), weight_hh=random((4 * H, H)), bias=None)
    lstm = LSTM.from_weights(cell, "equinox")
    assert not lstm.bias
    assert_same_bits(lstm.parameters["weight_ih_l0"], cell.weight_ih)
    inner = {
        f"{a}{b}": SimpleNamespace(kernel=random((I if a == "i" else H, H))) for a in "ih" for b in "ifgo"
    }
    for gate in "ifgo":
        inner[f"h{gate}"].bias = random((H,))
    assert LSTM.from_weights(SimpleNamespace(**inner), "flax").hidden_size == H


def test_prefix() -> None:
    layer = LSTM(I, H, seed=0)
    arrays = layer.to_weights("pytorch", prefix="rnn.")
    assert set(arrays) == {f"rnn.{name}" for name in layer.parameters}
    again = LSTM.from_weights(arrays | {"head.weight": np.ones(3)}, "pytorch", prefix="rnn.")
    assert_same_bits(again.state_dict(), layer.state_dict())
    haiku = layer.to_weights("haiku", prefix="net/~/lstm/")
    assert set(haiku) == {"net/~/lstm/linear"}
    assert LSTM.from_weights(haiku, "haiku", prefix="net/~/lstm/").input_size == I
    with pytest.raises(ValueError, match=r"prefix: expected what names in arrays begin with, got 'x\.'"):
        LSTM.from_weights(arrays, "pytorch", prefix="x.")


def test_options_are_the_constructors() -> None:
    lstm = LSTM.from_weights(keras(), "keras", batch_first=True, dropout=0.5, dtype="float64", clip=3.0)
    assert (lstm.batch_first, lstm.dropout, lstm.dtype.name, lstm.clip) == (True, 0.5, "float64", 3.0)
    assert RNN.from_weights(keras(gates=1), "keras", nonlinearity="relu").nonlinearity == "relu"
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonlinearity'"):
        LSTM.from_weights(keras(), "keras", nonlinearity="relu")


@pytest.mark.parametrize("name", ["hidden_size", "bidirectional", "peephole", "seed", "coupled"])
def test_options_that_arrays_say(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name}: expected no such argument"):
        LSTM.from_weights(keras(), "keras", **{name: Any})  # type: ignore[arg-type]


def test_dtype_is_the_arrays() -> None:
    doubles = [array.astype(np.float64) for array in keras()]
    assert LSTM.from_weights(doubles, "keras").dtype == np.float64
    assert LSTM.from_weights([doubles[0], *keras()[1:]], "keras").dtype == np.float32
    halves = [array.astype(np.float16) for array in keras()]
    assert LSTM.from_weights(halves, "keras", dtype=None).dtype == np.float32


def test_a_relu_where_the_framework_has_one() -> None:
    rnn = RNN(I, H, seed=0)
    assert RNN.from_weights(rnn.to_weights("haiku"), "haiku").nonlinearity == "relu"


def test_reset_by_the_shape_of_biases() -> None:
    before = GRU(I, H, reset_after=False, seed=0)
    assert before.to_weights("keras")[2].shape == (3 * H,)
    assert not GRU.from_weights(before.to_weights("keras"), "keras").reset_after
    after = GRU(I, H, seed=0)
    assert after.to_weights("keras")[2].shape == (2, 3 * H)
    with pytest.raises(
        ValueError, match=r"arrays\['bias'\]: expected shape \[3\*H\] for 'keras', got \(2, 12\)"
    ):
        GRU.from_weights(after.to_weights("keras"), "keras", reset_after=False)
    with pytest.raises(
        ValueError, match="reset_after: expected False, which is how 'haiku' has it, got True"
    ):
        GRU.from_weights({}, "haiku", reset_after=True)


def test_a_subclass_is_made_by_its_constructor() -> None:
    class Named(LSTM):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.name = "mine"

    assert Named.from_weights(keras(), "keras").name == "mine"


# What is lost is said.


@pytest.mark.parametrize(
    ("layer", "name", "message"),
    [
        (LSTM(I, H, peephole=True), "keras", "expected a layer without peepholes for 'keras'"),
        (LSTM(I, H, proj_size=2), "onnx", "expected a layer without a projection for 'onnx'"),
        (LSTM(I, H, coupled=True), "keras", "expected a layer with all gates for 'keras'"),
        (GRU(I, H), "flax-nnx", r"layer 0 .* 'flax-nnx': bias_hh: expected zeros for n"),
        (GRU(I, H), "haiku", "reset_after: expected False, which is how 'haiku' has it, got True"),
        (RNN(I, H), "equinox", "expected one that has RNN, got 'equinox', which has LSTM or GRU"),
        (lstmfast.LayerNormLSTM(I, H), "keras", "expected one that has LayerNormLSTM"),
    ],
)
def test_what_cannot_be_written(layer: Any, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer.to_weights(name)


def test_two_biases_are_one_sum() -> None:
    layer = LSTM(I, H, seed=0)
    both = layer.parameters["bias_ih_l0"] + layer.parameters["bias_hh_l0"]
    assert_same_bits(layer.to_weights("keras")[2], both)


def test_biases_that_must_be() -> None:
    """Where a framework always has them, and those that cancel what its cell adds."""
    layer = LSTM(I, H, bias=False, seed=0)
    assert len(layer.to_weights("keras")) == 2
    bias = layer.to_weights("haiku")["linear"]["b"]
    assert_same_bits(bias, np.repeat(np.array([0, 0, -1, 0], np.float32), H))  # i, g, f, o
    x = random((5, 2, I))
    np.testing.assert_allclose(
        LSTM.from_weights(layer.to_weights("haiku"), "haiku")(x)[0], layer(x)[0], rtol=0, atol=1e-6
    )


# Mistakes.


@pytest.mark.parametrize("call", [lambda name: LSTM.from_weights({}, name), LSTM(I, H).to_weights])
def test_unknown_conventions(call: Any) -> None:
    listed = ", ".join(repr(row.name) for row in TABLE.values())
    with pytest.raises(
        ValueError, match=re.escape(f"convention: expected one of {listed}, got 'kears' (str)")
    ):
        call("kears")
    with pytest.raises(TypeError, match=r"convention: expected one of .*, got None"):
        call(None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"kernel": None},
            "expected the names kernel, recurrent_kernel, bias of 'keras', got missing kernel",
        ),
        (
            {"kernal": 1.0},
            "expected the names kernel, recurrent_kernel, bias of 'keras', got unexpected kernal",
        ),
        ({"kernel": np.ones((16, 3))}, r"arrays['kernel']: expected shape [I, 4*H] for 'keras', got (16, 3)"),
        (
            {"recurrent_kernel": np.ones((16, 4))},
            r"arrays['recurrent_kernel']: expected shape (4, 16) [S, 4*H] for 'keras', got (16, 4)",
        ),
        ({"bias": np.ones((2, 16))}, r"arrays['bias']: expected shape [4*H] for 'keras', got (2, 16)"),
        ({"bias": np.ones(15)}, r"arrays['bias']: expected shape (16,) [4*H] for 'keras', got (15,)"),
        ({"kernel": np.ones((0, 16))}, r"arrays['kernel']: expected shape [I, 4*H] for 'keras', got (0, 16)"),
        ({"kernel": np.ones((3, 16), complex)}, "arrays['kernel']: expected an array of real numbers"),
        ({"kernel": "x"}, "arrays['kernel']: expected an array of real numbers"),
    ],
)
def test_arrays_that_do_not_fit(change: dict[str, Any], message: str) -> None:
    arrays: dict[str, Any] = dict(zip(("kernel", "recurrent_kernel", "bias"), keras(), strict=True))
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        LSTM.from_weights(arrays | change, "keras")


@pytest.mark.parametrize(
    ("arrays", "name", "message"),
    [
        (None, "keras", "arrays: expected a mapping from names to arrays"),
        ("weights.h5", "keras", "arrays: expected a mapping from names to arrays"),
        ([], "keras", "arrays: expected at least one layer, got an empty list"),
        ({}, "keras", "arrays: expected the names kernel, recurrent_kernel of 'keras', got missing"),
        ({}, "pytorch", "arrays: expected names like weight_ih_l0"),
        (keras()[:1], "keras", "arrays: expected the arrays kernel, recurrent_kernel, bias"),
        ({0: np.ones(3)}, "keras", "arrays: expected names that are strings, got 0 (int)"),
        ([(keras(),)], "keras", "arrays[0]: expected the arrays of a layer for 'keras', or a pair"),
        (
            [keras(), keras()],
            "keras",
            "arrays[1]: expected a layer of 4 inputs and 4 units, got one of 3 inputs",
        ),
        (
            [keras(), [*keras(H), *keras(H)]],
            "keras",
            "arrays[1]: expected as many directions as the first layer has, 1, got 2",
        ),
        (
            [keras(), keras(H)[:2]],
            "keras",
            "arrays[1]: expected a layer that is made of the same as the first",
        ),
        ({"weight_ih_l1": np.ones((16, 3))}, "pytorch", "got none that ends with _l0"),
        ({"weight_ih": np.ones((16, 3))}, "pytorch", "expected names like weight_ih_l0"),
        (
            {"W": np.ones((16, 3)), "R": np.ones((1, 16, 4))},
            "onnx",
            "arrays['W']: expected an array for 'onnx'",
        ),
        (
            {"W": np.ones((2, 16, 3)), "R": np.ones((1, 16, 4))},
            "onnx",
            "arrays['R']: expected first axes (2,)",
        ),
    ],
)
def test_what_is_put_together_otherwise(arrays: Any, name: str, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        LSTM.from_weights(arrays, name)


def test_forget_bias_is_for_cells_that_take_one() -> None:
    with pytest.raises(TypeError, match="forget_bias: expected none for LSTM of 'keras'"):
        LSTM.from_weights(keras(), "keras", forget_bias=1.0)
    with pytest.raises(TypeError, match="forget_bias: expected none for LSTM of 'haiku'"):
        LSTM(I, H).to_weights("haiku", forget_bias=0.0)
