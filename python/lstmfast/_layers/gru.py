"""The GRU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .._base import kinds
from .._base.checks import Array
from .._base.states import LoneState
from .._base.variants import ActivationLike
from .recurrent import Recurrent


@kinds.register
class GRU(LoneState, Recurrent[Array, ArrayLike]):
    """The gated recurrent unit, with the names, shapes and meaning of `torch.nn.GRU`.

    For every time step, with x the step's input, h the state, and `*` elementwise::

        r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)     z = sigmoid(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + r * (W_hn h + b_hn))  h' = (1 - z) * n + z * h

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype, seed, init, isa
        As for `LSTM`.
    reset_after
        Whether r multiplies what W_hn has made of h, as in PyTorch and cuDNN, or, False, h before that:
        ``n = tanh(W_in x + b_in + W_hn (r * h) + b_hn)``, as in the first paper, in ONNX's default
        (`linear_before_reset=0`) and in Haiku; Keras has both by this name. A step then has two products, one
        after the other.
    clip, activations, direction, zoneout, recurrent_dropout
        As for `LSTM`, with two activations: of r and z, and of n.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `LSTM`.

    Notes
    -----
    Calls: `y, h_n = gru(x, h_0)`, and `forward` and `backward` to train. Everything said of `LSTM` holds,
    `lengths`, `reset` and `mask` included, but that there is no projection and that a state is one array,
    [L*D, B, H] or unbatched [L*D, H].

    Source: K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine
    translation", EMNLP 2014.

    Examples
    --------
    >>> gru = GRU(3, 5, seed=0)
    >>> y, h_n = gru(np.zeros((7, 2, 3), np.float32))
    >>> y.shape, h_n.shape
    ((7, 2, 5), (1, 2, 5))
    """

    _KIND = kinds.GRU

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        reset_after: bool = True,
        clip: float | None = None,
        activations: Sequence[ActivationLike] | None = None,
        direction: str = "forward",
        zoneout: float = 0.0,
        recurrent_dropout: float = 0.0,
        dtype: DTypeLike = "float32",
        seed: int | np.random.Generator | None = None,
        init: str = "uniform",
        isa: str | None = None,
    ) -> None:
        config = {
            "input_size": input_size,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "bias": bias,
            "batch_first": batch_first,
            "dropout": dropout,
            "bidirectional": bidirectional,
            "dtype": dtype,
            "reset_after": reset_after,
            "clip": clip,
            "activations": activations,
            "direction": direction,
            "zoneout": zoneout,
            "recurrent_dropout": recurrent_dropout,
        }
        self._configure(config, isa)
        self._initialise(seed, init)
