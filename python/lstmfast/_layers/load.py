"""Any layer from its file."""

from __future__ import annotations

import os
from typing import TypeAlias, cast

from .._files import loading
from .gru import GRU
from .layer_norm import LayerNormLSTM
from .lstm import LSTM
from .quantized import QuantizedGRU, QuantizedLSTM, QuantizedRNN
from .rnn import RNN

AnyLayer: TypeAlias = LSTM | RNN | GRU | LayerNormLSTM | QuantizedLSTM | QuantizedRNN | QuantizedGRU


def load(path: str | os.PathLike[str]) -> AnyLayer:
    """Read a model that `save` wrote.

    Returns
    -------
    LSTM, RNN, GRU, LayerNormLSTM, QuantizedLSTM, QuantizedRNN or QuantizedGRU
        Whichever was saved, with its configuration and weights. It runs on `lstmfast.isa()`.

    Raises
    ------
    ImportError
        If safetensors is not installed: `pip install 'lstmfast[save]'`.
    OSError
        If the file cannot be read; FileNotFoundError if there is none.
    ValueError
        If it is not what `save` writes: no safetensors file, cut short, without our metadata, of a later
        version, or with tensors that do not fit the configuration. The message names the path.
    """
    return cast(AnyLayer, loading.load(path))  # of classes that are registered, which these are
