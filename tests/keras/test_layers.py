"""Every layer against Keras' own with the same weights: results, and gradients of all that has any."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")

import lstmfast  # noqa: E402
import lstmfast.keras  # noqa: E402

from ..helpers import Array, random  # noqa: E402
from .helpers import (  # noqa: E402
    BACKEND,
    CASES,
    PLAIN,
    SOME,
    B,
    H,
    I,
    T,
    assert_same,
    everything,
    pair,
    path_of,
    state_of,
)

X = random((B, T, I), seed=1)


@pytest.mark.parametrize(
    ("case", "sequences"), [*((case, True) for case in CASES), *((case, False) for case in SOME)]
)
def test_every_layer(case: str, sequences: bool) -> None:
    theirs, ours = pair(case, return_sequences=sequences, return_state=True)
    state = state_of(theirs)
    assert path_of(ours, X) == "lstmfast"
    assert_same(everything(ours, X, state), everything(theirs, X, state))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", PLAIN)
def test_every_bit_is_that_of_our_own_layer(case: str, dtype: str) -> None:
    """Of one with the same weights, laid out here by hand. (Keras' own float64 multiplies in float32.)"""
    _, ours = pair(case, return_sequences=True, return_state=True, dtype=dtype)
    x, state = X.astype(dtype), state_of(ours, dtype=dtype)
    if (BACKEND, dtype) == ("jax", "float64"):  # which has float32 in its place, unless it is told
        assert "float32, not float64" in lstmfast.keras.explain(ours, x).reason
        return
    layer = by_hand(case, ours.get_weights(), dtype)
    pair_of = case == "lstm"
    begin = [part[np.newaxis] for part in state]
    y, ends = layer(x, tuple(begin) if pair_of else begin[0])
    found = [_array(result) for result in ours(x, initial_state=state)]
    for given, expected in zip(
        found, [y, *([ends[0][0], ends[1][0]] if pair_of else [ends[0]])], strict=True
    ):
        np.testing.assert_array_equal(given, expected)


def by_hand(case: str, weights: list[Array], dtype: str) -> Any:
    """A layer of lstmfast's with Keras' weights: rows for columns, and a GRU's z, r, n as r, z, n."""
    options: Any = {"batch_first": True, "dtype": dtype}
    if case.startswith("gru"):
        weights = [np.concatenate([w[..., H : 2 * H], w[..., :H], w[..., 2 * H :]], axis=-1) for w in weights]
        layer: Any = lstmfast.GRU(I, H, reset_after=case == "gru", **options)
    else:
        layer = {"lstm": lstmfast.LSTM, "rnn": lstmfast.RNN}[case](I, H, **options)
    kernel, recurrent_kernel, bias = weights
    biases = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    named = {"weight_ih_l0": kernel.T, "weight_hh_l0": recurrent_kernel.T}
    layer.load_state_dict({**named, "bias_ih_l0": biases[0], "bias_hh_l0": biases[1]})
    return layer


@pytest.mark.parametrize("case", SOME)
def test_go_backwards_gives_outputs_in_the_order_of_processing(case: str) -> None:
    theirs, ours = pair(case, return_sequences=True, return_state=True, go_backwards=True)
    assert_same(everything(ours, X, state_of(theirs)), everything(theirs, X, state_of(theirs)))


@pytest.mark.parametrize("case", SOME)
def test_dropout_of_inputs_under_a_seed(case: str) -> None:
    theirs, ours = pair(case, dropout=0.4, return_sequences=True)
    assert path_of(ours, X, training=True) == "lstmfast"
    for _ in range(2):  # the second call draws others
        given, expected = ours(X, training=True), theirs(X, training=True)
        assert_same({"y": np.array(_array(given))}, {"y": np.array(_array(expected))})
    assert_same(everything(ours, X), everything(theirs, X))


def test_gradients_with_dropout() -> None:
    """One layer draws anew at each call, so both have their seeds set back between."""
    theirs, ours = pair("lstm", dropout=0.4, return_sequences=True)
    found = []
    for layer in (ours, theirs):
        seeds = layer.cell.seed_generator.state
        seeds.assign(keras.ops.zeros_like(seeds.value))
        found.append(everything(layer, X, training=True))
    assert_same(found[1], found[0])


def _array(tensor: Any) -> Any:
    return keras.ops.convert_to_numpy(tensor)


ACTIVATIONS = (
    "tanh",
    "sigmoid",
    "relu",
    "linear",
    "leaky_relu",
    "hard_sigmoid",
    "elu",
    "softsign",
    "softplus",
)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_keras_own(name: str) -> None:
    """In wide arguments as well: a bias of 4 leads beyond the straight part of hard_sigmoid."""
    theirs, ours = pair("rnn", activation=name, return_sequences=True)
    wide = theirs.get_weights()
    wide[2] = np.linspace(-4, 4, H, dtype="float32")
    wide[1] *= 0.2
    for layer in (theirs, ours):
        layer.set_weights(wide)
    assert path_of(ours, X) == "lstmfast"
    assert_same(everything(ours, X), everything(theirs, X))


@pytest.mark.parametrize("name", ["gelu", "silu", "selu", "relu6", "softmax"])
def test_other_activations_go_along_keras_own_path(name: str) -> None:
    theirs, ours = pair("rnn", activation=name, return_sequences=True)
    found = lstmfast.keras.explain(ours, X)
    assert (found.path, found.reason) == ("keras", f"the core has no activation {name}")
    assert_same(everything(ours, X), everything(theirs, X))


def test_a_function_of_ones_own_is_none_of_the_cores() -> None:
    theirs, ours = pair("lstm", activation=lambda z: keras.ops.tanh(2 * z))
    assert path_of(ours, X) == "keras"
    assert_same(everything(ours, X), everything(theirs, X))


def test_a_function_of_keras_ops_is_the_same() -> None:
    theirs, ours = pair("lstm", activation=keras.ops.tanh, recurrent_activation=keras.ops.sigmoid)
    assert path_of(ours, X) == "lstmfast"
    assert_same(everything(ours, X), everything(theirs, X))


@pytest.mark.parametrize(
    ("options", "training", "reason"),
    [
        ({"unroll": True}, False, "unroll"),
        ({"recurrent_dropout": 0.3}, True, "recurrent_dropout"),
        ({"dtype": "mixed_bfloat16"}, False, "mixed_bfloat16"),
        ({"dtype": "float16", "recurrent_initializer": "zeros"}, False, "float16"),
    ],
)
def test_what_the_core_does_not_do_goes_along_keras_own_path(
    options: dict[str, Any], training: bool, reason: str
) -> None:
    theirs, ours = pair("lstm", return_sequences=True, **options)
    found = lstmfast.keras.explain(ours, X, training=training)
    assert found.path == "keras"
    assert reason in found.reason
    given, expected = _array(ours(X, training=training)), _array(theirs(X, training=training))
    np.testing.assert_array_equal(given.astype("float32"), expected.astype("float32"))


def test_a_mask_for_each_gate_is_keras_own() -> None:
    """Of which the call itself is refused by Keras (3.15): explained, therefore, and not made."""
    found = lstmfast.keras.explain(pair("lstm", dropout=0.3, implementation=1)[1], X, training=True)
    assert found.path == "keras"
    assert "implementation=1" in found.reason


@pytest.mark.parametrize(
    "options", [{"recurrent_dropout": 0.3}, {"dropout": 0.3, "implementation": 1}, {"implementation": 1}]
)
def test_what_is_of_training_alone_does_not_keep_inference_from_the_core(options: dict[str, Any]) -> None:
    theirs, ours = pair("lstm", return_sequences=True, **options)
    assert path_of(ours, X) == "lstmfast"
    assert_same(everything(ours, X), everything(theirs, X))


def test_use_cudnn_true_is_keras_to_answer() -> None:
    """Which refuses it, or (on PyTorch, 3.15) goes on without."""
    theirs, ours = pair("lstm", use_cudnn=True)
    assert "cuDNN" in lstmfast.keras.explain(ours, X).reason
    found = []
    for layer in (theirs, ours):
        try:
            found.append(_array(layer(X)).tolist())
        except ValueError as error:
            found.append("cuDNN is not supported" in str(error))
    assert found[0] == found[1] != False  # noqa: E712


def test_one_step_and_one_row() -> None:
    for rows, steps in ((1, 1), (1, T), (B, 1)):
        theirs, ours = pair("lstm", return_sequences=True, return_state=True)
        x = X[:rows, :steps]
        assert_same(everything(ours, x), everything(theirs, x))


def test_an_input_of_integers_is_keras_to_convert() -> None:
    theirs, ours = pair("lstm")
    x = (10 * X).astype("int32")
    np.testing.assert_allclose(_array(ours(x)), _array(theirs(x)), atol=1e-6)


def test_strided_input() -> None:
    theirs, ours = pair("gru", return_sequences=True)
    x = np.ascontiguousarray(X.transpose(1, 0, 2)).transpose(1, 0, 2)
    assert_same(everything(ours, x), everything(theirs, x))
