"""Files of accelerated models are Keras' own, and open where there is no lstmfast."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")

import lstmfast.keras  # noqa: E402
from lstmfast.keras._layers import Recurrent  # noqa: E402

from ..helpers import random  # noqa: E402
from .helpers import B, H, I, T  # noqa: E402

X = random((B, T, I), seed=1)

ALONE = """
import sys  # noqa: E402
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "lstmfast":
            raise ImportError(f"{name} is not there")
sys.meta_path.insert(0, Absent())
import keras, numpy as np  # noqa: E402
folder, *names = sys.argv[1:]
for name in names:
    model = keras.saving.load_model(f"{folder}/{name}.keras")
    kinds = {type(layer) for layer in model._flatten_layers()}
    expected = {"LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional"}
    assert kinds >= {getattr(keras.layers, each) for each in expected}, kinds
    np.save(f"{folder}/{name}.npy", model.predict(np.load(f"{folder}/x.npy"), verbose=0))
assert "lstmfast" not in sys.modules
"""


def model_of(layers: Any, wrapper: Any) -> Any:
    stack = [keras.layers.LSTMCell(4), keras.layers.GRUCell(3)]
    return keras.Sequential(
        [
            keras.Input((None, I)),
            wrapper(layers.GRU(H, return_sequences=True, reset_after=False)),
            layers.LSTM(H, return_sequences=True),
            layers.RNN(keras.layers.StackedRNNCells(stack), return_sequences=True),
            layers.SimpleRNN(2),
        ]
    )


def test_files_open_where_there_is_no_lstmfast(tmp_path: Path) -> None:
    made = model_of(lstmfast.keras, lstmfast.keras.Bidirectional)
    accelerated = lstmfast.keras.accelerate(model_of(keras.layers, keras.layers.Bidirectional))
    np.save(tmp_path / "x.npy", X)
    for name, model in (("made", made), ("accelerated", accelerated)):
        assert all(entry.accelerated for entry in lstmfast.keras.report(model))
        model.save(tmp_path / f"{name}.keras")
    subprocess.run([sys.executable, "-c", ALONE, str(tmp_path), "made", "accelerated"], check=True)
    for name, model in (("made", made), ("accelerated", accelerated)):
        expected = model.predict(X, verbose=0)
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy"), expected, atol=1e-6)


def test_where_there_is_one_they_open_as_keras_own_and_may_be_accelerated(tmp_path: Path) -> None:
    model = lstmfast.keras.accelerate(model_of(keras.layers, keras.layers.Bidirectional))
    expected = model.predict(X, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not any(isinstance(layer, Recurrent) for layer in loaded._flatten_layers())
    again = lstmfast.keras.accelerate(loaded).predict(X, verbose=0)
    np.testing.assert_array_equal(again, expected)


def test_configurations_are_keras_own() -> None:
    plain = model_of(keras.layers, keras.layers.Bidirectional)
    config = json.loads(plain.to_json())
    lstmfast.keras.accelerate(plain)
    ours = json.loads(plain.to_json())
    for each in (config, ours):
        _forget_registered(each)
    assert ours == config


def _forget_registered(config: Any) -> None:
    """Leave out the one thing that differs: a name beside the class's, which says the same."""
    if isinstance(config, dict):
        name = config.pop("registered_name", None)
        assert name in (None, config.get("class_name"), config.get("config"))
        for value in config.values():
            _forget_registered(value)
    elif isinstance(config, list):
        for value in config:
            _forget_registered(value)


def test_weights_files(tmp_path: Path) -> None:
    plain = model_of(keras.layers, keras.layers.Bidirectional)
    other = lstmfast.keras.accelerate(model_of(keras.layers, keras.layers.Bidirectional))
    plain.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(other.predict(X, verbose=0), plain.predict(X, verbose=0), atol=1e-6)


def test_pickles_are_keras_own_models() -> None:
    model = lstmfast.keras.accelerate(model_of(keras.layers, keras.layers.Bidirectional))
    expected = model.predict(X, verbose=0)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_allclose(copy.predict(X, verbose=0), expected, atol=1e-6)


def test_clones_of_layers_are_ours() -> None:
    model = keras.models.clone_model(keras.Sequential([keras.Input((T, I)), lstmfast.keras.LSTM(H)]))
    assert isinstance(model.layers[0], lstmfast.keras.LSTM)
