"""RNN over cells and stacks of cells, wrappers, states that stay, models within models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")

import lstmfast.keras  # noqa: E402
from lstmfast.keras._layers import Recurrent  # noqa: E402

from ..helpers import random  # noqa: E402
from .helpers import (  # noqa: E402
    MASKS,
    PLAIN,
    B,
    H,
    I,
    T,
    arrays,
    assert_same,
    everything,
    pair,
    path_of,
    randomize,
    skip_unless,
    state_of,
)

X = random((B, T, I), seed=1)


def cells(names: str) -> Any:
    """A cell, or a stack of them, of other sizes."""
    made = [getattr(keras.layers, f"{name}Cell")(H - n) for n, name in enumerate(names.split("-"))]
    return made[0] if len(made) == 1 else keras.layers.StackedRNNCells(made)


def both(names: str, **options: Any) -> tuple[Any, Any]:
    """Keras' RNN of cells and ours, with the same weights."""
    theirs, ours = keras.layers.RNN(cells(names), **options), lstmfast.keras.RNN(cells(names), **options)
    for layer in (theirs, ours):
        layer.build((B, T, I))
    randomize(theirs)
    ours.set_weights(theirs.get_weights())
    return theirs, ours


@pytest.mark.parametrize("names", ["LSTM", "GRU", "SimpleRNN", "LSTM-LSTM", "GRU-LSTM-SimpleRNN"])
@pytest.mark.parametrize("mask", [None, "holes"])
def test_cells_and_stacks(names: str, mask: str | None) -> None:
    theirs, ours = both(names, return_sequences=True, return_state=True)
    call = {"mask": None if mask is None else MASKS[mask]}
    state = state_of(theirs)
    assert path_of(ours, X, **call) == "lstmfast"
    assert_same(everything(ours, X, state, **call), everything(theirs, X, state, **call))


def test_states_of_a_stack_are_nested_as_keras_nests_them() -> None:
    theirs, ours = both("LSTM-GRU", return_state=True)
    shapes = [keras.tree.map_structure(lambda t: tuple(t.shape), layer(X)) for layer in (theirs, ours)]
    assert shapes[0] == shapes[1]


def test_dropout_of_a_stack_under_a_seed() -> None:
    found = []
    for module in (keras.layers, lstmfast.keras):
        made = [keras.layers.LSTMCell(H, dropout=0.3, seed=n) for n in range(2)]
        layer = module.RNN(keras.layers.StackedRNNCells(made), return_sequences=True)
        layer.build((B, T, I))
        randomize(layer)
        found.append({"y": arrays(layer(X, training=True))})
    assert_same(found[1], found[0])


@keras.saving.register_keras_serializable("lstmfast_tests")
class OwnCell(keras.layers.LSTMCell):  # type: ignore[misc, name-defined]
    """A cell that may compute anything."""

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        h, states = super().call(inputs, states, training=training)
        return 2 * h, states


def test_other_cells_go_along_keras_own_path() -> None:
    theirs, ours = keras.layers.RNN(OwnCell(H)), lstmfast.keras.RNN(OwnCell(H))
    for layer in (theirs, ours):
        layer.build((B, T, I))
        randomize(layer)
    assert "its cell is a OwnCell" in lstmfast.keras.explain(ours, X).reason
    assert_same(everything(ours, X), everything(theirs, X))


def test_a_stack_of_one_is_keras_own() -> None:
    ours = lstmfast.keras.RNN(keras.layers.StackedRNNCells([keras.layers.LSTMCell(H)]))
    ours.build((B, T, I))
    assert lstmfast.keras.explain(ours, X).reason == "it is a stack of one cell"


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", None])
def test_bidirectional(merge: str | None) -> None:
    layers = []
    for module in (keras.layers, lstmfast.keras):
        layer = module.Bidirectional(keras.layers.LSTM(H, return_sequences=True), merge_mode=merge)
        layer.build((B, T, I))
        randomize(layer)
        layers.append(layer)
    theirs, ours = layers
    assert isinstance(ours.forward_layer, lstmfast.keras.LSTM)
    assert isinstance(ours.backward_layer, lstmfast.keras.LSTM)
    assert path_of(ours, X) == "lstmfast"
    for mask in (None, MASKS["holes"]):
        found = [
            {f"y{n}": y for n, y in enumerate(keras.tree.flatten(arrays(layer(X, mask=mask))))}
            for layer in layers
        ]
        assert_same(found[1], found[0])
    if merge == "concat":
        assert_same(everything(ours, X), everything(theirs, X))


@pytest.mark.parametrize("name", ["GRU", "SimpleRNN"])
def test_bidirectional_with_states(name: str) -> None:
    layers = []
    for module in (keras.layers, lstmfast.keras):
        layer = module.Bidirectional(getattr(keras.layers, name)(H, return_state=True))
        layer.build((B, T, I))
        randomize(layer)
        layers.append(layer)
    state = [random((B, H), seed=n) for n in (8, 9)]
    theirs, ours = ([*layer(X, initial_state=state)] for layer in layers)
    for given, expected in zip(arrays(ours), arrays(theirs), strict=True):
        np.testing.assert_allclose(given, expected, atol=1e-6)


def test_keras_own_bidirectional_makes_keras_own_layers_and_says_so() -> None:
    layer = keras.layers.Bidirectional(lstmfast.keras.LSTM(H))
    assert type(layer.forward_layer) is keras.layers.LSTM
    assert path_of(layer) == "keras"
    assert path_of(lstmfast.keras.accelerate(layer)) == "lstmfast"


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_stateful(name: str) -> None:
    found = []
    for module in (keras.layers, lstmfast.keras):
        model = keras.Sequential(
            [keras.Input(batch_shape=(B, T, I)), getattr(module, name)(H, stateful=True)]
        )
        randomize(model)
        once = [arrays(model(X)) for _ in range(3)]  # not by predict, which on JAX keeps no states
        model.layers[0].reset_state()
        again = arrays(model(X))
        model.layers[0].reset_states()
        found.append({f"y{n}": y for n, y in enumerate([*once, again, arrays(model(X))])})
    theirs, ours = found
    assert_same(ours, theirs)
    np.testing.assert_array_equal(ours["y0"], ours["y3"])
    assert np.abs(ours["y0"] - ours["y1"]).max() > 1e-3


@pytest.mark.parametrize("case", PLAIN)
def test_gradients_of_a_stateful_layer_on_pytorch(case: str) -> None:
    """Keras writes a call's last states over those that it began with, before anybody goes back."""
    skip_unless("torch")
    import torch

    (_, stateful), (_, plain) = pair(case, stateful=True), pair(case, return_state=True)
    stateful.reset_state()
    with torch.no_grad():
        stateful(X)
        state = plain(X)[1:]
    found = []
    for layer, initial in ((stateful, None), (plain, list(state))):
        x = torch.tensor(X, requires_grad=True)
        y = layer(x, initial_state=initial)
        (y if initial is None else y[0]).square().sum().backward()
        found.append([x.grad, *(weight.value.grad for weight in layer.trainable_weights)])
    for given, expected in zip(*found, strict=True):
        np.testing.assert_array_equal(given, expected)


def test_time_distributed_and_models_in_models() -> None:
    inner = keras.Sequential([keras.Input((T, I)), keras.layers.GRU(H)])
    given = keras.Input((3, T, I))
    y = keras.layers.TimeDistributed(inner)(given)
    y = keras.layers.TimeDistributed(keras.layers.Dense(4))(y)
    y, h, _ = keras.layers.LSTM(4, return_state=True)(y)
    model = keras.Model(
        given, keras.layers.SimpleRNN(3)(keras.layers.RepeatVector(2)(y), initial_state=[h[:, :3]])
    )
    x = random((B, 3, T, I), seed=2)
    expected = model.predict(x, verbose=0)
    lstmfast.keras.accelerate(model)
    kinds = [entry.layer for entry in lstmfast.keras.report(model)]
    assert len(kinds) == 3
    assert all(isinstance(layer, Recurrent) for layer in kinds)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-6)


def test_states_are_handed_from_an_encoder_to_a_decoder() -> None:
    source, target = keras.Input((None, I)), keras.Input((None, 3))
    _, *state = keras.layers.LSTM(H, return_state=True)(source)
    y = keras.layers.LSTM(H, return_sequences=True)(target, initial_state=state)
    model = keras.Model([source, target], y)
    given = [X, random((B, 4, 3), seed=3)]
    expected = model.predict(given, verbose=0)
    given_ours = lstmfast.keras.accelerate(model).predict(given, verbose=0)
    np.testing.assert_allclose(given_ours, expected, atol=1e-6)
    assert np.abs(expected).max() > 1e-2
