"""Training on a real series: the same curve with lstmfast and without; and gradients of gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")

import lstmfast.keras  # noqa: E402
from lstmfast.datasets import sunspots  # noqa: E402

from ..helpers import Array, random  # noqa: E402
from .helpers import (  # noqa: E402
    BACKEND,
    HAS_GRADIENTS,
    B,
    H,
    I,
    T,
    assert_same,
    everything,
    pair,
    skip_unless,
)


def windows(steps: int = 12) -> tuple[Array, Array]:
    """Sunspot numbers, each year told from those before it; the first years of a few are missing."""
    numbers = (sunspots()[1] / 100).astype("float32")
    x = np.stack([numbers[n : n + steps] for n in range(0, len(numbers) - steps, 2)])[..., np.newaxis]
    y = numbers[steps::2, np.newaxis]
    x[::7, :5] = 0
    return x, y


def curve(accelerated: bool, build: Any) -> tuple[list[float], Array]:
    """Losses of some epochs, and what the trained model predicts."""
    keras.utils.set_random_seed(7)
    model = build()
    model.compile(keras.optimizers.Adam(0.01), "mse")
    if accelerated:
        lstmfast.keras.accelerate(model)
        entries = lstmfast.keras.report(model)
        assert entries
        assert all(entry.accelerated for entry in entries)
    x, y = windows()
    history = model.fit(x, y, epochs=3, batch_size=24, verbose=0)
    return history.history["loss"], model.predict(x, verbose=0)


def plain() -> Any:
    return keras.Sequential([keras.Input((None, 1)), keras.layers.LSTM(16), keras.layers.Dense(1)])


def deep() -> Any:
    """Masks, both directions, a GRU, dropout, regularizers and a constraint."""
    return keras.Sequential(
        [
            keras.Input((12, 1)),
            keras.layers.Masking(),
            keras.layers.Bidirectional(keras.layers.GRU(6, return_sequences=True, dropout=0.1, seed=1)),
            keras.layers.LSTM(8, kernel_regularizer="l2", recurrent_constraint="max_norm"),
            keras.layers.Dense(1),
        ]
    )


@pytest.mark.parametrize("build", [plain, deep])
def test_fit_goes_the_same_way(build: Any) -> None:
    if not HAS_GRADIENTS:
        pytest.skip("this backend does not train")
    theirs, ours = curve(False, build), curve(True, build)
    assert theirs[0][-1] < 0.8 * theirs[0][0]
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-3)
    np.testing.assert_allclose(ours[1], theirs[1], atol=2e-3)


@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("lstm", {}),
        ("lstm", {"activation": "softsign", "recurrent_activation": "leaky_relu"}),
        ("gru_reset_before", {}),
        ("gru", {"activation": "elu"}),
        ("rnn_without_bias_elu", {}),
    ],
)
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_of_gradients_on_pytorch(case: str, options: dict[str, Any], masked: bool) -> None:
    """A gradient penalty."""
    skip_unless("torch")
    import torch

    found = []
    for layer in pair(case, return_sequences=True, **options):
        x = torch.tensor(random((B, T, I), seed=1), requires_grad=True)
        mask = torch.tensor(np.arange(T) < np.array([[6], [4], [1], [3]])) if masked else None
        (gradient,) = torch.autograd.grad(layer(x, mask=mask).square().sum(), x, create_graph=True)
        weights = [weight.value for weight in layer.trainable_weights]
        found.append(torch.autograd.grad(gradient.square().sum(), [x, *weights]))
    theirs, ours = found
    for given, expected in zip(ours, theirs, strict=True):
        scale = max(1.0, float(expected.abs().max()))
        np.testing.assert_allclose(given.numpy(), expected.numpy(), atol=2e-5 * scale)


def test_gradients_of_gradients_on_tensorflow_are_refused_and_not_zero() -> None:
    skip_unless("tensorflow")
    import tensorflow as tf

    _, ours = pair("lstm")
    x = tf.constant(random((B, T, I), seed=1))
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            loss = tf.reduce_sum(ours(x) ** 2)
        gradient = inner.gradient(loss, x)
    with pytest.raises(NotImplementedError, match=r"lstmfast.keras has no gradients of gradients"):
        outer.gradient(gradient, x)


@pytest.mark.parametrize("training", [False, True])
def test_gradients_are_the_same_whether_or_not_the_call_was_of_training(training: bool) -> None:
    """On TensorFlow a call that is not keeps nothing for them."""
    if not HAS_GRADIENTS:
        pytest.skip("this backend has no gradients")
    x = random((B, T, I), seed=1)
    theirs, ours = pair("lstm", return_sequences=True)
    assert_same(everything(ours, x, training=training), everything(theirs, x, training=training))


def test_calls_out_of_graphs_on_tensorflow() -> None:
    """Eagerly, and in a graph that knows neither B nor T."""
    skip_unless("tensorflow")
    import tensorflow as tf

    theirs, ours = pair("gru", return_sequences=True)
    x = random((B, T, I), seed=1)
    unknown = tf.function(lambda x: ours(x), input_signature=[tf.TensorSpec((None, None, I))])
    for given in (ours(x), unknown(x)):
        np.testing.assert_allclose(given, theirs(x), atol=1e-6)
    assert unknown.get_concrete_function().structured_outputs.shape.as_list() == [None, None, H]


def test_a_state_with_too_few_rows_on_tensorflow_is_refused_when_it_runs() -> None:
    skip_unless("tensorflow")
    import tensorflow as tf

    _, ours = pair("rnn")
    free = tf.TensorSpec((None, H))
    run = tf.function(lambda x, h: ours(x, initial_state=[h]), [tf.TensorSpec((None, T, I)), free])
    with pytest.raises(Exception, match="initial_state: expected 4 rows, as the input, got 3"):
        run(random((4, T, I)), random((3, H)))


def test_threads() -> None:
    """Results do not depend on their number."""
    if BACKEND == "torch":
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(2)
    _, ours = pair("lstm", return_sequences=True)
    x = random((16, 20, I), seed=1)
    of_two = keras.ops.convert_to_numpy(ours(x))
    if BACKEND == "torch":
        torch.set_num_threads(before)
    many = lstmfast.get_num_threads()
    lstmfast.set_num_threads(1)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(ours(x)), of_two)
    lstmfast.set_num_threads(many)
