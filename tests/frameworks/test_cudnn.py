"""cuDNN's flat weights, as JAX' side of cuDNN lays them out, in the reference that it has for CPUs.

``jax.experimental.rnn.lstm`` itself runs on GPUs alone; ``lstm_ref`` is what JAX tests it against.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .helpers import B as ROWS
from .helpers import H, I, T, Tree, prove, randomised
from .jax_helpers import runner

jax = pytest.importorskip("jax")
rnn = pytest.importorskip("jax.experimental.rnn")

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_lstm(num_layers: int, bidirectional: bool) -> None:
    sizes = (I, H, num_layers, bidirectional)

    def apply(weights: Any, x: Any, state: tuple[Any, ...]) -> Any:
        unpacked = rnn.unpack_lstm_weights(weights, *sizes)
        lengths = jax.numpy.full(ROWS, T, "int32")
        y, *end = rnn.lstm_ref(
            x.swapaxes(0, 1), *state, *unpacked, lengths, I, H, num_layers, 0.0, bidirectional
        )
        return y.swapaxes(0, 1), end

    flat: Tree = randomised(np.empty(rnn.get_num_params_in_lstm(*sizes)))
    named: dict[str, Any] = dict(
        zip(("input_size", "hidden_size", "num_layers", "bidirectional"), sizes, strict=True)
    )
    prove("LSTM", "cudnn", flat, runner(apply), **named)
