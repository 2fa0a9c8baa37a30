"""Layers of every kind with smaller weights."""

from __future__ import annotations

from numpy.typing import ArrayLike

from .._base import kinds
from .._base.checks import Array
from .._base.states import LoneState, Pair, PairLike, PairState
from .._small.quantized import Quantized
from .gru import GRU
from .lstm import LSTM
from .rnn import RNN, Nonlinear


@kinds.register
class QuantizedLSTM(PairState, Quantized[Pair, PairLike, LSTM]):
    """An `LSTM` with smaller weights, for inference; made by `LSTM.quantize`.

    Calls, `stream`, `stream_pool`, `save`, pickles and copies are those of `LSTM`, in float32. Results do not
    depend on batch, threads, steps or chunks, or ISA, as those of `LSTM` do not.

    Notes
    -----
    "float16" and "bfloat16" are widened as they are read, and everything else is the arithmetic of float32
    weights: the results have the bits of `dequantize()`'s.

    "int8": each row of a weight is whole numbers q from -127 to 127 times a scale. At each step, and for each
    row of the batch by itself, x and h (and with a projection o * tanh(c')) become whole numbers a times a
    scale: s = max|v| / 127, a = round(v / s). The sums of products a q are exact, and multiplied by both
    scales; biases, gates, c and h are float32. Where x (over its range, with a calibration) or h is not
    finite, the row's results are NaN. docs/numerics.md has the errors. A call needs 96 KiB of its thread's
    stack.

    Examples
    --------
    >>> import lstmfast
    >>> small = lstmfast.LSTM(3, 32, seed=0).quantize("int8")
    >>> y, (h_n, c_n) = small(np.zeros((7, 2, 3), np.float32))
    >>> y.shape, small.weight_dtype, small.nbytes
    ((7, 2, 32), 'int8', 6528)
    """

    _KIND = kinds.LSTM


@kinds.register
class QuantizedRNN(LoneState, Nonlinear, Quantized[Array, ArrayLike, RNN]):
    """An `RNN` with smaller weights, for inference; made by `RNN.quantize`. All is as for `QuantizedLSTM`."""

    _KIND = kinds.RNN


@kinds.register
class QuantizedGRU(LoneState, Quantized[Array, ArrayLike, GRU]):
    """A `GRU` with smaller weights, for inference; made by `GRU.quantize`. All is as for `QuantizedLSTM`."""

    _KIND = kinds.GRU
