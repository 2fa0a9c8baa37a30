# Known by: training, onnx, _fitting, sklearn, lstmfast
"""The layers that users have: `LSTM`, `RNN`, `GRU`, those with smaller weights, and what was saved."""

from .gru import GRU
from .layer_norm import LayerNormLSTM
from .load import load
from .lstm import LSTM
from .quantized import QuantizedGRU, QuantizedLSTM, QuantizedRNN
from .recurrent import Recurrent
from .rnn import RNN
from .tape import Gradients, Tape

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Gradients",
    "LayerNormLSTM",
    "QuantizedGRU",
    "QuantizedLSTM",
    "QuantizedRNN",
    "Recurrent",
    "Tape",
    "load",
]
