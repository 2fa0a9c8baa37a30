"""Training: epochs, early stopping, and the best weights in the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from .._base import checks
from .._layers.recurrent import Recurrent
from ..training import Adam, Dense, clip_global_norm
from . import losses
from .batches import Batch, Batches, rows_at_once
from .best import Best
from .history import History
from .model import Model
from .seeds import streams
from .settings import Settings

OnEpoch = Callable[[int, float, "float | None"], Any]


def fit(
    layer: Recurrent[Any, Any],
    head: Dense,
    data: Batches,
    *,
    loss: str = "squared",
    held_out: Batches | None = None,
    settings: Settings | None = None,
    on_epoch: OnEpoch | None = None,
) -> History:
    """Train a layer and its head, in place.

    The same weights, data and settings give the same bits: on any number of threads, instruction set and
    machine whose NumPy draws the same random numbers.

    Parameters
    ----------
    layer : LSTM, GRU, RNN or LayerNormLSTM
        Of any kind and depth, time first.
    head : training.Dense
        Its in_features are the layer's outputs; activation "identity" for "squared", "softmax" for
        "cross_entropy".
    data : Windows or Sequences
        What is trained on.
    loss : {"squared", "cross_entropy"}
        Mean squared error, or cross entropy with integer classes.
    held_out : Windows or Sequences, or None
        What no step of Adam sees: training ends when its loss falls no more, and the weights are then those
        of the epoch in which it was least.
    settings
        See `Settings`.
    on_epoch : callable
        Called as ``on_epoch(epoch, train_loss, held_out_loss)`` after each, the first being 1; held_out_loss
        is None without held-out data. What it raises ends the training, with the best weights so far.

    Returns
    -------
    History
        KeyboardInterrupt ends a training, too: the models then have the best weights so far, and
        `History.ended` says so.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above. Nothing has changed then.
    FloatingPointError
        If the loss or a gradient is NaN or infinite. The models have the best weights until then.
    """
    settings = _checked(settings, {"data": data, "held_out": held_out})
    model = Model(layer, head, each_step=data.each_step, skipped=data.skipped)
    _check_sizes(model, data, held_out)
    measure = losses.chosen(loss, head)
    adam = Adam(*model.parts, learning_rate=settings.learning_rate)
    order, dropout = streams(settings.seed, 2)
    history, best = History(), Best(model.parts, settings.min_delta)

    def step(batch: Batch) -> tuple[float, float]:
        passed = model.forward(batch, dropout)
        value, dz = measure(passed.z, batch.target, batch.weight)
        if not math.isfinite(value):
            raise _DivergedError(f"the loss became {value}")
        try:
            clipped, _ = clip_global_norm(*model.backward(passed, dz), max_norm=settings.max_norm)
            adam.step(*clipped)
        except ValueError as error:  # all that is left to be wrong: a gradient is not finite
            raise _DivergedError(str(error)) from error
        return value, _counted(batch)

    try:
        for epoch in range(1, settings.epochs + 1):
            mean = _mean(step(batch) for batch in data.shuffled(settings.batch_size, order))
            judged = None if held_out is None else _judged(model, held_out, measure)
            if judged is not None and not math.isfinite(judged):
                raise _DivergedError(f"the held-out loss became {judged}")
            history.add(mean, judged)
            if best.take(epoch, judged):
                history.best_epoch = epoch
            if on_epoch is not None:
                on_epoch(epoch, mean, judged)
            if judged is not None and epoch - best.improved >= (settings.patience or math.inf):
                history.ended = "early"
                break
    except KeyboardInterrupt:
        history.ended = "interrupted"
    except _DivergedError as error:
        raise FloatingPointError(
            f"training: {error} in epoch {history.epochs + 1}; expected finite numbers. A smaller"
            f" learning_rate (now {settings.learning_rate:g}) or max_norm (now {settings.max_norm:g}) helps,"
            " and numbers of the size of 1. The weights are the best until then"
        ) from error
    finally:
        best.restore()
    return history


def evaluate(layer: Recurrent[Any, Any], head: Dense, data: Batches, *, loss: str = "squared") -> float:
    """Find the mean loss over some data, without dropout: the same bits every time."""
    model = Model(layer, head, each_step=data.each_step, skipped=data.skipped)
    return _judged(model, data, losses.chosen(loss, head))


class _DivergedError(ArithmeticError):
    """A loss or a gradient is not finite."""


def _judged(model: Model, data: Batches, measure: losses.Loss) -> float:
    return _mean(
        (measure(model.logits(batch), batch.target, batch.weight)[0], _counted(batch))
        for batch in data.in_order(rows_at_once(data.longest))
    )


def _counted(batch: Batch) -> float:
    """How much a batch counts in a mean over batches."""
    if batch.weight is None:
        return float(batch.target.size)
    places = math.prod(np.broadcast_shapes(batch.weight.shape, batch.target.shape))
    return float(np.sum(batch.weight, dtype=np.float64)) * (places // batch.weight.size)


def _mean(pairs: Iterable[tuple[float, float]]) -> float:
    """Weighted mean of (value, weight) pairs."""
    total = weight = 0.0
    for value, counted in pairs:
        total += value * counted
        weight += counted
    return total / weight


def _checked(settings: Settings | None, given: Mapping[str, Batches | None]) -> Settings:
    """Check the settings, and that data is data."""
    settings = Settings() if settings is None else settings
    if not isinstance(settings, Settings):
        raise TypeError(f"settings: expected Settings, got {checks.shown(settings)}")
    for name, data in given.items():
        if not hasattr(data, "shuffled") and (name == "data" or data is not None):
            raise TypeError(f"{name}: expected Windows or Sequences, got {checks.shown(data)}")
    return settings


def _check_sizes(model: Model, data: Batches, held_out: Batches | None) -> None:
    """Check that data is the layer's, and what is held out like the rest."""
    for name, batches in {"data": data, "held_out": held_out or data}.items():
        if batches.input_size != model.layer.input_size:
            raise ValueError(
                f"{name}: expected inputs of {model.layer.input_size} numbers, the layer's input_size,"
                f" got {batches.input_size}"
            )
        if (batches.each_step, batches.skipped) != (data.each_step, data.skipped):
            raise ValueError(f"{name}: expected it to be scored at the steps where data is, got others")
