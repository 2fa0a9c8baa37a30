"""Exported models: ONNX's own nodes on PyTorch, and no call of the host in TensorFlow's files."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")

import lstmfast.keras  # noqa: E402

from ..helpers import Array, random  # noqa: E402
from .helpers import BACKEND, H, I, skip_unless  # noqa: E402

FREE = (None, None, I)


# What exporters say of themselves and of Keras.
_THEIRS = (
    "You are using the legacy TorchScript",
    "The feature will be removed",
    ".*",
)


def exported(model: Any, path: Path, **options: Any) -> tuple[Any, list[str]]:
    """A session of ONNX Runtime of the model, and its recurrent nodes with their directions."""
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    if not model._called:
        made = [random((2, each.shape[1] or 3, each.shape[2])) for each in model.inputs]
        model.predict_on_batch(made if len(made) > 1 else made[0])
    with warnings.catch_warnings():
        for words in _THEIRS:
            warnings.filterwarnings("ignore", words)
        model.export(path, format="onnx", verbose=False, **options)
    nodes = [node.op_type for node in onnx.load(path).graph.node]
    found = [name for name in nodes if name in ("LSTM", "GRU", "RNN", "Loop", "Scan")]
    return runtime.InferenceSession(path, providers=["CPUExecutionProvider"]), found


def compare(model: Any, session: Any, *inputs: Array, atol: float = 1e-5) -> None:
    names = [each.name for each in session.get_inputs()]
    given = session.run(None, dict(zip(names, inputs, strict=True)))
    lstmfast.keras.restore(model)
    expected = keras.tree.flatten(model.predict_on_batch(inputs[0] if len(inputs) == 1 else list(inputs)))
    lstmfast.keras.accelerate(model)
    for ours, theirs in zip(given, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=atol)


def sequential(*layers: Any, shape: tuple[int | None, ...] = (None, I)) -> Any:
    return lstmfast.keras.accelerate(keras.Sequential([keras.Input(shape), *layers]))


MODELS: dict[str, tuple[list[str], Any]] = {
    "lstm": (["LSTM"], lambda: [keras.layers.LSTM(H)]),
    "lstm_sequences": (["LSTM"], lambda: [keras.layers.LSTM(H, return_sequences=True)]),
    "lstm_without_bias": (["LSTM"], lambda: [keras.layers.LSTM(H, use_bias=False)]),
    "gru": (["GRU"], lambda: [keras.layers.GRU(H, bias_initializer="random_normal")]),
    "rnn": (["RNN"], lambda: [keras.layers.SimpleRNN(H, activation="relu")]),
    "backwards": (["GRU"], lambda: [keras.layers.GRU(H, go_backwards=True, return_sequences=True)]),
    "both_directions": (
        ["LSTM", "LSTM", "GRU"],
        lambda: [
            keras.layers.Bidirectional(keras.layers.LSTM(H, return_sequences=True)),
            keras.layers.GRU(4, dropout=0.5),
        ],
    ),
    "stack": (
        ["LSTM", "GRU"],
        lambda: [
            keras.layers.RNN(
                keras.layers.StackedRNNCells([keras.layers.LSTMCell(H), keras.layers.GRUCell(4)])
            )
        ],
    ),
}


@pytest.mark.tools
@pytest.mark.parametrize("name", MODELS)
def test_onnx_has_nodes_with_free_batch_and_time(name: str, tmp_path: Path) -> None:
    skip_unless("torch")
    nodes, layers = MODELS[name]
    model = sequential(*layers(), keras.layers.Dense(2))
    session, found = exported(model, tmp_path / "model.onnx")
    assert sorted(found) == sorted(nodes)
    for rows, steps in ((1, 1), (3, 11), (5, 2)):
        compare(model, session, random((rows, steps, I), seed=rows))


@pytest.mark.tools
def test_onnx_of_a_model_of_fixed_length(tmp_path: Path) -> None:
    skip_unless("torch")
    model = sequential(keras.layers.LSTM(H), shape=(9, I))
    session, found = exported(model, tmp_path / "model.onnx")
    assert found == ["LSTM"]
    compare(model, session, random((4, 9, I)))
    free = [keras.InputSpec(shape=FREE, dtype="float32", name="x")]
    session, found = exported(model, tmp_path / "free.onnx", input_signature=free)
    assert found == ["LSTM"]
    given = random((2, 9, I))
    compare(model, session, given)
    assert session.run(None, {"x": random((2, 31, I))})[0].shape == (2, H)


@pytest.mark.tools
@pytest.mark.parametrize("sequences", [True, False])
def test_onnx_with_a_mask(sequences: bool, tmp_path: Path) -> None:
    skip_unless("torch")
    model = sequential(
        keras.layers.Masking(),
        keras.layers.Bidirectional(keras.layers.GRU(H, return_sequences=True)),
        keras.layers.LSTM(4, return_sequences=sequences),
    )
    session, found = exported(model, tmp_path / "model.onnx")
    assert sorted(found) == ["GRU", "GRU", "LSTM"]
    x = random((4, 7, I), seed=3)
    x[0, 3:] = x[1, 2:4] = x[2, :3] = x[3] = 0
    compare(model, session, x)


@pytest.mark.tools
def test_onnx_with_states_of_an_encoder(tmp_path: Path) -> None:
    skip_unless("torch")
    source, target = keras.Input((None, I)), keras.Input((None, 3))
    _, *state = keras.layers.LSTM(H, return_state=True)(source)
    y = keras.layers.LSTM(H, return_sequences=True)(target, initial_state=state)
    model = lstmfast.keras.accelerate(keras.Model([source, target], y))
    session, found = exported(model, tmp_path / "model.onnx")
    assert found == ["LSTM", "LSTM"]
    compare(model, session, random((3, 8, I), seed=1), random((3, 5, 3), seed=2))


@pytest.mark.tools
@pytest.mark.parametrize(
    "layer",
    [
        {"activation": "softsign"},
        {"unroll": False, "recurrent_activation": "hard_sigmoid"},
    ],
)
def test_onnx_of_what_has_no_node_is_refused_and_not_one_step(layer: dict[str, Any], tmp_path: Path) -> None:
    skip_unless("torch")
    model = sequential(keras.layers.LSTM(H, **layer))
    with pytest.raises(NotImplementedError, match=r"layer lstm.*: it goes along Keras' own path"):
        exported(model, tmp_path / "model.onnx")


@pytest.mark.tools
def test_onnx_of_what_has_no_node_is_keras_own_where_time_is_fixed(tmp_path: Path) -> None:
    skip_unless("torch")
    model = sequential(keras.layers.GRU(H, reset_after=False), shape=(5, I))
    signature = [keras.InputSpec(shape=(2, 5, I), dtype="float32", name="x")]
    session, found = exported(model, tmp_path / "model.onnx", input_signature=signature)
    assert found == []
    compare(model, session, random((2, 5, I)))


@pytest.mark.tools
def test_onnx_of_a_last_c_with_a_mask_is_refused(tmp_path: Path) -> None:
    skip_unless("torch")
    given = keras.Input((None, I))
    model = keras.Model(given, keras.layers.LSTM(H, return_state=True)(keras.layers.Masking()(given)))
    with pytest.raises(NotImplementedError, match="last c with a mask cannot be written as ONNX"):
        exported(lstmfast.keras.accelerate(model), tmp_path / "model.onnx")


def test_torch_export_writes_keras_own_steps() -> None:
    skip_unless("torch")
    import torch

    model = sequential(keras.layers.LSTM(H), shape=(3, I))
    x = torch.tensor(random((2, 3, I)))
    program = torch.export.export(model, (x,), strict=False)
    assert not [node for node in program.graph.nodes if "lstmfast" in str(node.target)]
    np.testing.assert_allclose(program.module()(x).detach().numpy(), model(x).detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("how", ["export", "archive", "save"])
def test_a_saved_model_has_no_calls_of_the_host(how: str, tmp_path: Path) -> None:
    skip_unless("tensorflow")
    import tensorflow as tf

    model = sequential(keras.layers.LSTM(H), keras.layers.Dense(2))
    x = random((3, 8, I))
    expected = model.predict(x, verbose=0)  # traced for us before
    path = str(tmp_path / "saved")
    if how == "export":
        model.export(path, verbose=False)
    elif how == "archive":
        archive = keras.export.ExportArchive()
        archive.track(model)
        archive.add_endpoint("serve", lambda x: model(x), [tf.TensorSpec(FREE, tf.float32)])
        archive.write_out(path, verbose=False)
    else:
        tf.saved_model.save(model, path)
    loaded = tf.saved_model.load(path)
    serve = loaded.serve if how != "save" else loaded.signatures["serving_default"]
    for function in [serve] if how == "save" else [serve.get_concrete_function(tf.TensorSpec(FREE))]:
        graph = function.graph.as_graph_def()
        kinds = {node.op for node in graph.node}
        kinds |= {node.op for each in graph.library.function for node in each.node_def}
        assert not [kind for kind in kinds if "PyFunc" in kind]
    given = serve(tf.constant(x))
    given = next(iter(given.values())) if isinstance(given, dict) else given
    np.testing.assert_allclose(given, expected, atol=1e-6)
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)


@pytest.mark.filterwarnings("ignore")  # LiteRT is moving out of TensorFlow, and says so in many ways
def test_litert_has_the_operators_of_keras_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    skip_unless("tensorflow")
    import tensorflow as tf

    def layers() -> list[Any]:
        return [keras.layers.LSTM(H, return_sequences=True), keras.layers.GRU(H), keras.layers.Dense(2)]

    written: list[list[str]] = []
    for model in (sequential(*layers(), shape=(8, I)), keras.Sequential([keras.Input((8, I)), *layers()])):
        model.predict(random((3, 8, I)), verbose=0)
        path = tmp_path / f"{len(written)}.tflite"
        model.export(path, format="litert", verbose=False)
        capfd.readouterr()
        tf.lite.experimental.Analyzer.analyze(model_path=str(path))
        written.append(re.findall(r"Op#\d+ (\w+)\(", capfd.readouterr().out))
    assert "WHILE" in written[0]  # the loops over time
    assert written[0] == written[1]


@pytest.mark.filterwarnings("ignore:The `:DeprecationWarning")  # of the way from JAX to TensorFlow
def test_jax_exports_keras_own_loop(tmp_path: Path) -> None:
    skip_unless("jax")
    pytest.importorskip("tensorflow")
    model = sequential(keras.layers.LSTM(H))
    x = random((3, 8, I))
    expected = model.predict(x, verbose=0)
    model.export(tmp_path / "saved", verbose=False)
    import tensorflow as tf

    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_allclose(loaded.serve(x), expected, atol=1e-6)


def test_numpy_exports_nothing() -> None:
    skip_unless("numpy")
    assert BACKEND == "numpy"  # and Keras itself says so
