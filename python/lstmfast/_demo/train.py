"""Training: all windows of the training years at once, again and again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lstmfast.training import Adam, clip_global_norm, mean_squared_error

from .forecaster import Forecaster
from .series import Scaling, windows

# Chosen together with the window, the scaling and the defaults of `lstmfast demo` (80 epochs, 32 units) by
# training on 1700-1908 and judging on 1909-1948. The held-out years played no part in any choice.
LEARNING_RATE = 1e-2
MAX_NORM = 1.0
WARM_UP = 8  # years at the start of each window that are read but not scored: the state is still empty


def train(
    numbers: NDArray[np.float64],
    *,
    epochs: int,
    hidden: int,
    seed: int,
    on_epoch: Callable[[int, float], None] = lambda epoch, loss: None,
) -> Forecaster:
    """Train a new model.

    Parameters
    ----------
    numbers : float64 array [Y]
        The training years and nothing else: scaling and weights come from these alone.
    epochs : int
        Passes over all windows, one step of Adam each.
    hidden : int
        Hidden units.
    seed : int
        Of the first weights. The same arguments give the same bits, on any number of threads.
    on_epoch : callable
        Called as ``on_epoch(epoch, loss)`` after each epoch, the first being 1; the loss is the mean squared
        error in scaled units.
    """
    model = Forecaster.new(Scaling.of(numbers), hidden, seed)
    x, target = windows(model.scaling.to_model(numbers))
    adam = Adam(model.lstm, model.head, learning_rate=LEARNING_RATE)
    for epoch in range(1, epochs + 1):
        y, _, lstm_tape = model.lstm.forward(x)
        p, head_tape = model.head.forward(y[WARM_UP:])
        loss, dp = mean_squared_error(p, target[WARM_UP:])
        head_grads = model.head.backward(head_tape, dp)
        dy = np.concatenate([np.zeros_like(y[:WARM_UP]), head_grads.x])
        lstm_grads = model.lstm.backward(lstm_tape, dy, wants_x=False)
        clipped, _ = clip_global_norm(lstm_grads.parameters, head_grads.parameters, max_norm=MAX_NORM)
        adam.step(*clipped)
        on_epoch(epoch, float(loss))
    return model
