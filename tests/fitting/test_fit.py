"""Training learns, stops, comes back to its best weights, and is the same to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast._fitting import Sequences, Settings, Windows, apply, evaluate, fit, horizons
from lstmfast._fitting.batches import rows_at_once
from lstmfast.training import Dense

from ..helpers import Array, assert_same_bits
from .helpers import checksum, forecaster, rows, series, signs, weights, windows

SHORT = Settings(epochs=3, learning_rate=1e-2)


def test_it_learns_a_wave() -> None:
    lstm, head = forecaster()
    history = fit(
        lstm,
        head,
        windows(0, 200),
        held_out=windows(216, 280),
        settings=Settings(epochs=30, learning_rate=0.02),
    )
    # The noise has a variance of 0.01, and the wave one of 0.5.
    assert history.best_loss < 0.03
    assert history.best_loss == min(history.held_out_loss)
    assert history.best_loss == evaluate(lstm, head, windows(216, 280))


def test_it_learns_classes_of_sequences() -> None:
    gru, head = lstmfast.GRU(2, 8, bidirectional=True, seed=0), Dense(16, 2, "softmax", seed=1)
    settings = Settings(epochs=12, learning_rate=0.02)
    fit(gru, head, signs(rows(300)), loss="cross_entropy", settings=settings)
    new = rows(200, seed=1)
    p = apply(gru, head, new)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    right = (p.argmax(axis=1) == [row.sum() > 0 for row in new]).mean()
    assert right > 0.9
    alone = np.concatenate([apply(gru, head, [row]) for row in new[:20]])
    assert_same_bits(alone, p[:20])


def test_the_best_weights_come_back() -> None:
    """With a step size at which the loss goes up and down."""
    lstm, head = forecaster()
    kept: list[dict[str, Any]] = []
    settings = Settings(epochs=40, learning_rate=0.3, patience=6)
    history = fit(
        lstm,
        head,
        windows(0, 200),
        held_out=windows(216, 280),
        settings=settings,
        on_epoch=lambda *_: kept.append(weights(lstm, head)),
    )
    best = int(np.argmin(history.held_out_loss)) + 1
    assert history.best_epoch == best
    assert history.ended == "early"
    assert history.epochs == len(kept) == best + 6 < 40
    assert_same_bits(weights(lstm, head), kept[best - 1])


def test_a_little_better_is_not_better() -> None:
    lstm, head = forecaster()
    settings = Settings(epochs=20, patience=2, min_delta=1e9)
    history = fit(lstm, head, windows(0, 50), held_out=windows(216, 280), settings=settings)
    assert history.epochs == 3  # the first is better than nothing; then two are not by so much
    assert history.best_epoch == int(np.argmin(history.held_out_loss)) + 1 > 1


def test_without_patience_it_goes_on() -> None:
    lstm, head = forecaster()
    settings = Settings(epochs=12, learning_rate=0.3, patience=None)
    assert fit(lstm, head, windows(0, 60), held_out=windows(216, 280), settings=settings).epochs == 12


def trained(isa: str | None = None) -> dict[str, Any]:
    """Train with all that draws numbers, and by both losses, from what is the same on any machine."""
    rng = np.random.default_rng(0)

    def numbers(*shape: int) -> Array:
        return rng.integers(-64, 65, shape) / 64

    lstm, head = forecaster(num_layers=2, dropout=0.3, zoneout=0.1, recurrent_dropout=0.1, isa=isa)
    gru, classes = lstmfast.GRU(2, 8, isa=isa), Dense(8, 5, "softmax")
    for model in (lstm, head, gru, classes):
        model.update({name: numbers(*w.shape) for name, w in model.parameters.items()})
    x = numbers(100, 1)
    fit(lstm, head, Windows(x, horizons(x, 2)[..., 0], 16, warm_up=4), settings=SHORT)
    sequences = [numbers(steps, 2) for steps in range(1, 41)]
    fit(gru, classes, Sequences(sequences, np.arange(40) % 5), loss="cross_entropy", settings=SHORT)
    return weights(lstm, head, gru, classes)


def test_the_same_bits(isa: str, threads: None) -> None:
    """On every instruction set, number of threads and machine."""
    found = []
    for number in (1, 2):
        lstmfast.set_num_threads(number)
        found.append(trained(isa))
    assert_same_bits(found[1], found[0])
    assert checksum(found[0]) == 2864004058


def test_seeds() -> None:
    def run(seed: int | None, dropout: float) -> int:
        lstm, head = forecaster(num_layers=2, dropout=dropout)
        fit(lstm, head, windows(0, 40), settings=Settings(epochs=1, seed=seed))
        return checksum(weights(lstm, head))

    assert run(3, 0.5) == run(3, 0.5)
    assert len({run(3, 0.5), run(4, 0.5), run(3, 0.0), run(4, 0.0)}) == 4
    assert run(None, 0.0) != run(None, 0.0)


def test_interrupted() -> None:
    lstm, head = forecaster()
    kept: list[dict[str, Any]] = []

    def stop(epoch: int, *_: Any) -> None:
        kept.append(weights(lstm, head))
        if epoch == 3:
            raise KeyboardInterrupt

    history = fit(lstm, head, windows(0, 60), held_out=windows(216, 250), on_epoch=stop)
    assert (history.ended, history.epochs) == ("interrupted", 3)
    assert_same_bits(weights(lstm, head), kept[history.best_epoch - 1])


def test_interrupted_within_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights are those after the last whole epoch, here none."""
    lstm, head = forecaster()
    before, data = weights(lstm, head), windows(0, 200)
    batches = data.shuffled(32, np.random.default_rng(0))

    def broken(*_: Any) -> Any:
        yield next(batches)
        yield next(batches)
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "shuffled", broken)
    history = fit(lstm, head, data)
    assert (history.ended, history.epochs, history.best_epoch) == ("interrupted", 0, 0)
    assert np.isnan(history.best_loss)
    assert_same_bits(weights(lstm, head), before)


def test_what_on_epoch_raises_is_the_callers() -> None:
    class StopError(Exception):
        pass

    def stop(*_: Any) -> None:
        raise StopError

    lstm, head = forecaster()
    with pytest.raises(StopError):
        fit(lstm, head, windows(0, 60), on_epoch=stop)


def test_a_loss_that_is_not_finite_ends_it() -> None:
    lstm, head = forecaster()
    kept: list[dict[str, Any]] = []

    def spoil(epoch: int, *_: Any) -> None:
        kept.append(weights(lstm, head))
        if epoch == 2:
            head.update({"bias": [np.nan, 0]})

    with pytest.raises(
        FloatingPointError, match=r"training: the loss became nan in epoch 3; .* learning_rate \(now"
    ):
        fit(lstm, head, windows(0, 60), on_epoch=spoil)
    assert_same_bits(weights(lstm, head), kept[1])


def test_a_gradient_that_is_not_finite_ends_it() -> None:
    """The loss is of float64, and its gradient of float32."""
    data = Sequences(np.ones((4, 3, 1)), np.full((4, 1), 1e30))
    lstm, head = forecaster(ahead=1)
    with pytest.raises(FloatingPointError, match=r"training: gradients\[\d\].* in epoch 1"):
        fit(lstm, head, data, settings=Settings(max_norm=np.inf))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([0, 2], "targets: expected integer classes from 0 to 1, got 2"),
        ([0, -1], "targets: expected integer classes from 0 to 1, got -1"),
        ([0.0, 1.0], "targets: expected integer classes from 0 to 1, got an array of .* float64"),
    ],
)
def test_classes_that_cannot_be(classes: list[float], message: str) -> None:
    data = Sequences(np.ones((2, 3, 1)), np.array(classes))
    with pytest.raises(ValueError, match=message):
        fit(lstmfast.LSTM(1, 4), Dense(4, 2, "softmax"), data, loss="cross_entropy")


def test_long_sequences_go_in_small_batches() -> None:
    """Of each only the end is wanted, but all steps are computed: memory is that of some."""
    lstm, head = forecaster(ahead=1)
    x = np.ones((8, 40_000, 1), np.float32)
    data = Sequences(x, np.zeros((8, 1)))
    assert data.longest == 40_000
    assert [batch.x.shape[1] for batch in data.in_order(rows_at_once(data.longest))] == [3, 3, 2]
    assert_same_bits(apply(lstm, head, x[:, :9]), np.repeat(apply(lstm, head, x[:1, :9]), 8, axis=0))


def test_layers_keep_their_reading_of_lengths() -> None:
    """Padding changes nothing: sequences one by one have the losses that they have together."""
    lstm, head = lstmfast.LSTM(2, 8, seed=0), Dense(8, 2, "softmax", seed=1)
    sequences = rows(30)
    alone = [evaluate(lstm, head, signs([row]), loss="cross_entropy") for row in sequences]
    assert evaluate(lstm, head, signs(sequences), loss="cross_entropy") == pytest.approx(
        np.mean(alone), rel=1e-12
    )


def test_weights_count() -> None:
    """Of two groups with other targets the heavier one is learned."""
    x, target = np.ones((40, 3, 1)), np.repeat([[0.0], [1.0]], 20, axis=0)
    for weight, wanted in (([1, 0], 0.0), ([0, 1], 1.0), ([1, 3], 0.75)):
        lstm, head = forecaster(ahead=1)
        data = Sequences(x, target, weights=np.repeat(np.array(weight, float), 20))
        fit(lstm, head, data, settings=Settings(epochs=80, batch_size=40, learning_rate=0.03))
        assert apply(lstm, head, x[:1])[0, 0] == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"layer": Dense(1, 1)}, TypeError, "layer: expected an LSTM, GRU, RNN or LayerNormLSTM, got"),
        ({"layer": lstmfast.LSTM(1, 8, batch_first=True)}, ValueError, "layer: expected batch_first=False"),
        ({"layer": lstmfast.LSTM(2, 8)}, ValueError, "data: expected inputs of 2 numbers, .* got 1"),
        ({"head": lstmfast.RNN(8, 2)}, TypeError, "head: expected a training.Dense, got"),
        ({"head": Dense(7, 2)}, ValueError, "head: expected in_features 8, .* got 7"),
        ({"head": Dense(8, 2, dtype="float64")}, ValueError, "head: expected dtype float32, .* got float64"),
        (
            {"head": Dense(8, 2, "softmax")},
            ValueError,
            "head: expected activation 'identity' for the loss 'squared'",
        ),
        ({"loss": "absolute"}, ValueError, "loss: expected 'squared' or 'cross_entropy', got 'absolute'"),
        ({"data": series()}, TypeError, "data: expected Windows or Sequences, got an array"),
        ({"settings": {"epochs": 3}}, TypeError, "settings: expected Settings, got a dict"),
        (
            {"held_out": Sequences(np.ones((2, 3, 1)), np.ones((2, 2)))},
            ValueError,
            "held_out: expected it to be scored",
        ),
    ],
)
def test_what_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    lstm, head = forecaster()
    given: dict[str, Any] = {"layer": lstm, "head": head, "data": windows(0, 20)} | change
    with pytest.raises(error, match=message):
        fit(given.pop("layer"), given.pop("head"), given.pop("data"), **given)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs: expected an integer >= 1, got 0"),
        ({"batch_size": 2.0}, TypeError, "batch_size: expected an integer >= 1, got 2.0"),
        ({"learning_rate": 0}, ValueError, "learning_rate: expected a number > 0, got 0"),
        ({"learning_rate": np.inf}, ValueError, "learning_rate: expected a number > 0, got inf"),
        ({"max_norm": np.nan}, ValueError, "max_norm: expected a number > 0, got nan"),
        ({"min_delta": -1}, ValueError, "min_delta: expected a number >= 0, got -1"),
        ({"patience": 0}, ValueError, "patience: expected an integer >= 1, got 0"),
        ({"seed": -1}, ValueError, "seed: expected an integer >= 0, got -1"),
    ],
)
def test_settings_that_are_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Settings(**change)
