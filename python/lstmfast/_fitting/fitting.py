"""Training: epochs, early stopping, and the best weights in the end."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .._base import checks
from .._layers.recurrent import Recurrent
from ..training import Adam, Dense, clip_global_norm
from . import losses
from .batches import Batch, Batches
from .history import History
from .model import Model
from .seeds import streams
from .settings import Settings

OnEpoch = Callable[[int, float, "float | None"], Any]

# Rows of a batch whose loss alone is wanted: as many as fill the kernels' tiles, and a bounded amount of memory.
EVALUATED = 256


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

    Parameters
    ----------
    layer : LSTM, GRU, RNN or LayerNormLSTM
        Of any kind and depth, time first.
    head : training.Dense
        Its in_features are the layer's outputs.
    data : Windows or Sequences
        What is trained on.
    loss : {"squared", "cross_entropy"}
        Mean squared error, or cross entropy for a head with "softmax" or "sigmoid".
    held_out : Windows or Sequences, or None
        What no step of Adam sees: training ends when its loss falls no more, and the weights are then those of
        the epoch in which it was least.
    settings
        See `Settings`.
    on_epoch : callable
        Called as ``on_epoch(epoch, train_loss, held_out_loss)`` after each, the first being 1; held_out_loss is
        None without held-out data. What it raises ends the training, with the best weights so far.

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
    settings = _checked(settings, data, held_out, layer)
    model = Model(layer, head, each_step=data.each_step, skipped=data.skipped)
    measure = losses.chosen(loss, head)
    adam = Adam(layer, head, learning_rate=settings.learning_rate)
    order, dropout = streams(settings.seed, 2)
    history, best = History(), _Best(model, settings.min_delta)

    def step(batch: Batch) -> tuple[float, float]:
        passed = model.forward(batch, dropout)
        value, dp = measure(passed.p, passed.head_tape, batch.target, batch.weight)
        if not math.isfinite(value):
            raise _Diverged(f"the loss became {value}")
        try:
            clipped, _ = clip_global_norm(*model.backward(passed, dp), max_norm=settings.max_norm)
            adam.step(*clipped)
        except ValueError as error:  # the only ones that are left say that a gradient is not finite
            raise _Diverged(str(error)) from error
        return value, _counted(batch)

    try:
        for epoch in range(1, settings.epochs + 1):
            adam.learning_rate = settings.rate(epoch)
            mean = _mean(step(batch) for batch in data.shuffled(settings.batch_size, order))
            judged = None
            if held_out is not None:
                judged = evaluate(layer, head, held_out, loss=loss)
                if not math.isfinite(judged):
                    raise _Diverged(f"the held-out loss became {judged}")
                history.held_out_loss.append(judged)
            history.train_loss.append(mean)
            if best.take(epoch, judged):
                history.best_epoch = epoch
            if on_epoch is not None:
                on_epoch(epoch, mean, judged)
            if judged is not None and settings.patience is not None:
                if epoch - best.improved >= settings.patience:
                    history.ended = "early"
                    break
    except KeyboardInterrupt:
        history.ended = "interrupted"
        del history.held_out_loss[len(history.train_loss) :]
        best.restore()
    except _Diverged as error:
        best.restore()
        raise FloatingPointError(
            f"training: {error} in epoch {history.epochs + 1}; expected finite numbers. A smaller learning_rate"
            f" (now {settings.learning_rate:g}), a smaller max_norm (now {settings.max_norm:g}) or data of the"
            " size of 1 help. The weights are the best until then"
        ) from error
    except BaseException:
        best.restore()
        raise
    else:
        best.restore()
    return history


def evaluate(layer: Recurrent[Any, Any], head: Dense, data: Batches, *, loss: str = "squared") -> float:
    """Find the mean loss over some data, without dropout: the same bits every time."""
    model = Model(layer, head, each_step=data.each_step, skipped=data.skipped)
    measure = losses.chosen(loss, head)

    def judge(batch: Batch) -> tuple[float, float]:
        return measure(*model.outputs(batch), batch.target, batch.weight)[0], _counted(batch)

    return _mean(judge(batch) for batch in data.in_order(EVALUATED))


class _Diverged(ArithmeticError):
    """A loss or a gradient is not finite."""


class _Best:
    """The best weights so far."""

    def __init__(self, model: Model, min_delta: float) -> None:
        self._models = (model.layer, model.head)
        self._min_delta = min_delta
        self._least = self._bar = math.inf
        self.improved = 0  # the last epoch that was better by min_delta than those before
        self._keep()

    def take(self, epoch: int, loss: float | None) -> bool:
        """Look at an epoch's held-out loss, and keep its weights if it is the least (or if there is none)."""
        if loss is not None and loss >= self._least:
            return False
        if loss is not None:
            self._least = loss
            if loss < self._bar - self._min_delta:
                self._bar, self.improved = loss, epoch
        self._keep()
        return True

    def restore(self) -> None:
        """Give the models the best weights back, where they have others."""
        for model, weights in zip(self._models, self._weights, strict=True):
            model.update(weights)

    def _keep(self) -> None:
        # Parameters are replaced, never written to: to keep them is to hold them.
        self._weights = [dict(model.parameters) for model in self._models]


def _checked(
    settings: Settings | None, data: Batches, held_out: Batches | None, layer: Recurrent[Any, Any]
) -> Settings:
    if settings is None:
        settings = Settings()
    if not isinstance(settings, Settings):
        raise TypeError(f"settings: expected Settings, got {checks.shown(settings)}")
    for name, given in (("data", data), ("held_out", held_out)):
        if given is None:
            if name == "held_out":
                continue
        if not hasattr(given, "shuffled"):
            raise TypeError(f"{name}: expected Windows or Sequences, got {checks.shown(given)}")
        if given.input_size != layer.input_size:
            raise ValueError(
                f"{name}: expected inputs of {layer.input_size} numbers, the layer's input_size,"
                f" got {given.input_size}"
            )
    if held_out is not None and (held_out.each_step, held_out.skipped) != (data.each_step, data.skipped):
        raise ValueError("held_out: expected it to be scored at the steps where data are, got others")
    return settings


def _counted(batch: Batch) -> float:
    """How much a batch counts in a mean over batches."""
    if batch.weight is None:
        return float(batch.target.size)
    weight = batch.weight
    places = np.broadcast_shapes(weight.shape, batch.target.shape)
    return float(np.sum(weight, dtype=np.float64)) * (math.prod(places) // weight.size)


def _mean(pairs: Any) -> float:
    """Weighted mean of (value, weight) pairs."""
    total = weight = 0.0
    for value, counted in pairs:
        total += value * counted
        weight += counted
    return total / weight
