"""accelerate, restore, report and explain; and that nothing goes on with what was traced or packed before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")

import lstmfast.keras  # noqa: E402
from lstmfast.keras._layers import Recurrent  # noqa: E402

from ..helpers import random  # noqa: E402
from .helpers import BACKEND, HAS_GRADIENTS, B, H, I, T, pair, path_of, skip_unless  # noqa: E402

X = random((B, T, I), seed=1)
CLASSES = ("LSTM", "GRU", "SimpleRNN")


def model_of(name: str = "LSTM") -> Any:
    """A model with a recurrent layer, not built yet."""
    return keras.Sequential([getattr(keras.layers, name)(H), keras.layers.Dense(2)])


class Counting:
    """Counts calls that go along Keras' own loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        loop = keras.layers.LSTM.inner_loop

        def counted(layer: Any, *args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return loop(layer, *args, **kwargs)

        monkeypatch.setattr(keras.layers.LSTM, "inner_loop", counted)


@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize("name", CLASSES)
def test_accelerate_changes_the_class_in_place_and_restore_gives_it_back(name: str, built: bool) -> None:
    model = model_of(name)
    if built:
        model.build((None, T, I))
    layer, weights = model.layers[0], list(model.weights)
    assert lstmfast.keras.accelerate(model) is model
    assert model.layers[0] is layer
    assert isinstance(layer, getattr(lstmfast.keras, name))
    assert isinstance(layer, getattr(keras.layers, name))
    ours = model.predict(X, verbose=0)
    assert path_of(layer, X) == "lstmfast"
    assert lstmfast.keras.restore(model) is model
    assert type(layer) is getattr(keras.layers, name)
    assert not any("lstmfast" in key for each in (layer, layer.cell) for key in vars(each))
    np.testing.assert_allclose(ours, model.predict(X, verbose=0), atol=1e-6)
    assert not built or all(a is b for a, b in zip(weights, model.weights, strict=True))


def test_what_was_traced_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways, for predict as for fit and evaluate."""
    model = model_of()
    model.compile("sgd", "mse")
    y = np.zeros((B, 2), "float32")

    def run() -> None:
        model.predict(X, verbose=0)
        if HAS_GRADIENTS:
            model.fit(X, y, verbose=0)
            model.evaluate(X, y, verbose=0)

    run()
    counting = Counting(monkeypatch)
    lstmfast.keras.accelerate(model)
    run()
    assert counting.calls == 0
    lstmfast.keras.restore(model)
    run()
    assert counting.calls >= (3 if HAS_GRADIENTS else 1)


def test_accelerating_twice_changes_nothing_more() -> None:
    model = lstmfast.keras.accelerate(model_of())
    cls = type(model.layers[0])
    model.predict(X, verbose=0)
    traced = model.predict_function
    assert type(lstmfast.keras.accelerate(model).layers[0]) is cls
    assert model.predict_function is traced


def test_layers_made_as_ours_stay_ours() -> None:
    model = keras.Sequential([lstmfast.keras.LSTM(H)])
    lstmfast.keras.restore(lstmfast.keras.accelerate(model))
    assert isinstance(model.layers[0], lstmfast.keras.LSTM)


def test_shared_layers_are_accelerated_once_and_stay_shared() -> None:
    shared = keras.layers.LSTM(H)
    given = keras.Input((T, I))
    model = keras.Model(given, keras.layers.Add()([shared(given), shared(keras.layers.ReLU()(given))]))
    expected = model.predict(X, verbose=0)
    lstmfast.keras.accelerate(model)
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, atol=1e-6)
    assert len(lstmfast.keras.report(model)) == 1


class Subclassed(keras.Model):  # type: ignore[misc, name-defined]
    """A model of one's own, with layers in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = [keras.layers.GRU(H, return_sequences=True), keras.layers.LSTM(3)]

    def call(self, x: Any) -> Any:
        for layer in self.recurrent:
            x = layer(x)
        return x


def test_models_of_ones_own() -> None:
    model = Subclassed()
    expected = model.predict(X, verbose=0)
    lstmfast.keras.accelerate(model)
    assert all(isinstance(layer, Recurrent) for layer in model.recurrent)
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, atol=1e-6)


@keras.saving.register_keras_serializable("lstmfast_tests")
class Doubled(keras.layers.LSTM):  # type: ignore[misc, name-defined]
    """Somebody's own layer, which goes on with what Keras' gives."""

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        return 2 * super().call(sequences, initial_state=initial_state, mask=mask, training=training)


class OwnLoop(keras.layers.GRU):  # type: ignore[misc, name-defined]
    """Somebody's own loop, which never asks ours."""

    def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
        h = initial_state[0]
        return h, keras.ops.expand_dims(h, 1), [h]


def test_classes_of_ones_own_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Doubled(H)
    expected = keras.ops.convert_to_numpy(layer(X))
    lstmfast.keras.accelerate(layer)
    assert isinstance(layer, Doubled)
    assert isinstance(layer, lstmfast.keras.LSTM)
    assert keras.saving.serialize_keras_object(layer)["registered_name"] == "lstmfast_tests>Doubled"
    assert keras.saving.get_registered_object("lstmfast_tests>Doubled") is Doubled
    counting = Counting(monkeypatch)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(X)), expected, atol=1e-6)
    assert counting.calls == 0
    found = lstmfast.keras.explain(layer, X)
    assert (found.path, found.reason[:4]) == ("its own", "call")
    lstmfast.keras.restore(layer)
    assert type(layer) is Doubled


def test_a_loop_of_ones_own_is_left_alone() -> None:
    layer = lstmfast.keras.accelerate(OwnLoop(H))
    assert path_of(layer) == "its own"
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(X)), np.zeros((B, H)))


def test_report_names_all_and_says_why_not() -> None:
    model = keras.Sequential(
        [
            keras.Input((T, I)),
            keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True), name="both"),
            keras.layers.GRU(3, activation="gelu", return_sequences=True, name="gelu"),
            keras.layers.LSTM(3, unroll=True, name="unrolled"),
        ],
        name="all",
    )
    before = lstmfast.keras.report(model)
    assert [entry.accelerated for entry in before] == [False] * 4
    assert "call lstmfast.keras.accelerate(model)" in str(before[0])
    lstmfast.keras.accelerate(model)
    after = {entry.name: (entry.accelerated, entry.reason) for entry in lstmfast.keras.report(model)}
    assert after == {
        "all/both/forward_lstm": (True, "accelerated"),
        "all/both/backward_lstm": (True, "accelerated"),
        "all/gelu": (False, "the core has no activation gelu"),
        "all/unrolled": (False, "unroll=True asks for Keras' own steps, one after the other"),
    }


def test_weights_that_change_are_seen_at_once() -> None:
    """Whoever changes them, and however."""
    theirs, ours = pair("lstm")

    def same() -> bool:
        expected, given = (keras.ops.convert_to_numpy(each(X)) for each in (theirs, ours))
        return bool(np.allclose(given, expected, atol=1e-6))

    assert same()
    changed = [weight + 0.5 for weight in theirs.get_weights()]
    for layer in (theirs, ours):
        layer.set_weights(changed)
    assert same()
    for layer in (theirs, ours):
        layer.cell.bias.assign(layer.cell.bias + 0.25)
    assert same()
    theirs.cell.recurrent_kernel.assign(3 * theirs.cell.recurrent_kernel)
    assert not same()
    if BACKEND == "torch":
        ours.cell.recurrent_kernel.value.data.mul_(3)  # past all that counts changes
        assert same()


@pytest.mark.parametrize("function", ["accelerate", "restore", "report"])
def test_what_is_no_model(function: str) -> None:
    with pytest.raises(TypeError, match=f"model: {function} expected a keras.Model or a layer, got int"):
        getattr(lstmfast.keras, function)(3)


def test_explain_of_what_is_no_recurrent_layer() -> None:
    with pytest.raises(TypeError, match=r"layer: expected an LSTM, .* got Dense"):
        lstmfast.keras.explain(keras.layers.Dense(3))


def test_xla_is_not_asked_on_tensorflow() -> None:
    skip_unless("tensorflow")
    model = keras.Sequential([keras.layers.RNN(keras.layers.LSTMCell(H))])
    model.compile("sgd", "mse", jit_compile=True)
    assert model.jit_compile
    lstmfast.keras.accelerate(model)
    assert not model.jit_compile
    model.fit(X, np.zeros((B, H)), verbose=0)
    lstmfast.keras.restore(model)
    assert model.layers[0].supports_jit


@pytest.mark.tools
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_jit_compile_on_pytorch() -> None:
    """Dynamo sees one operator, and not the steps."""
    skip_unless("torch")
    model = model_of("GRU")
    model.compile("sgd", "mse", jit_compile=True)
    lstmfast.keras.accelerate(model)
    history = model.fit(X, np.zeros((B, 2)), epochs=2, verbose=0)
    assert history.history["loss"][1] < history.history["loss"][0]
