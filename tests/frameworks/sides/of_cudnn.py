"""cuDNN's row of numbers, as JAX' experimental.rnn cuts it and its reference implementation computes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ..outcomes import B, H, I, Outcome, T, inputs, output_gradient, random, time_first

NEEDS = ("jax",)


def _lstm(L: int, D: int) -> Outcome:
    import jax
    from jax.experimental import rnn

    sizes = (I, H, L, D == 2)
    numbers = random(rnn.get_num_params_in_lstm(*sizes))
    zero = np.zeros((L * D, B, H), np.float32)
    lengths = np.full(B, T, np.int32)
    x = inputs()

    def outputs(numbers: jax.Array) -> jax.Array:
        apart = rnn.unpack_lstm_weights(numbers, *sizes)
        return rnn.lstm_ref(time_first(x), zero, zero, *apart, lengths, I, H, L, 0.0, D == 2)[0]

    dy = output_gradient(D * H)
    gradients = jax.grad(lambda numbers: (outputs(numbers) * time_first(dy)).sum())(numbers)
    options = {"input_size": I, "hidden_size": H, "num_layers": L, "bidirectional": D == 2}
    y = time_first(np.asarray(outputs(numbers)))
    return Outcome(
        "LSTM", "cudnn", numbers, x, y, dy, np.asarray(gradients), options, {"jax": jax.__version__}
    )


CASES: dict[str, Callable[[], Outcome]] = {
    "LSTM": partial(_lstm, 1, 1),
    "LSTM deep": partial(_lstm, 3, 1),
    "LSTM both ways": partial(_lstm, 1, 2),
}
