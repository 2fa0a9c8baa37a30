"""The LSTM with layer normalisation."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from .._base import kinds
from .._base.states import Pair, PairLike, PairState
from .recurrent import Recurrent


@kinds.register
class LayerNormLSTM(PairState, Recurrent[Pair, PairLike]):
    """Long short-term memory with layer normalisation, as haste has it.

    With ``norm(v) = (v - mean(v)) / sqrt(var(v) + 1e-5)``, over all 4*H numbers of a row's gates, or over the
    H of its c::

        z = gain_ih * norm(W_ih x) + gain_hh * norm(W_hh h) + b_ih + b_hh        z = [z_i, z_f, z_g, z_o]
        i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o)                       g = tanh(z_g)
        c' = f * c + i * g                           h' = o * tanh(gain_c * norm(c') + bias_c)

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
        As for `LSTM`.
    direction, zoneout, recurrent_dropout, dtype, seed, init, forget_bias, isa
        As for `LSTM`. Gains begin at 1 and `bias_c` at 0.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `LSTM`.

    Notes
    -----
    Everything said of `LSTM` holds, but that there is no projection, no variant and no smaller weights.
    Beside an LSTM's parameters each layer and direction has `gain_ih_l0` [4*H], `gain_hh_l0` [4*H],
    `gain_c_l0` [H] and `bias_c_l0` [H], and so on. haste has one bias, the sum of the two here, and its gates
    in the order i, g, f, o.

    A row is normalised as a whole, so that threads share the products of a step and then its rows.

    Source: J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", arXiv:1607.06450 (2016).

    Examples
    --------
    >>> lstm = LayerNormLSTM(3, 5, seed=0)
    >>> y, (h_n, c_n) = lstm(np.zeros((7, 2, 3), np.float32))
    >>> y.shape, h_n.shape, c_n.shape
    ((7, 2, 5), (1, 2, 5), (1, 2, 5))
    """

    _KIND = kinds.LAYER_NORM_LSTM

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
        direction: str = "forward",
        zoneout: float = 0.0,
        recurrent_dropout: float = 0.0,
        dtype: DTypeLike = "float32",
        seed: int | np.random.Generator | None = None,
        init: str = "uniform",
        forget_bias: float | None = None,
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
            "direction": direction,
            "zoneout": zoneout,
            "recurrent_dropout": recurrent_dropout,
        }
        self._configure(config, isa)
        self._initialise(seed, init, forget_bias)
