# Known by: training, lstmfast
"""The layers that users have: `LSTM`, `RNN`, those with smaller weights, and whatever was saved of them."""

from .load import load
from .lstm import LSTM
from .quantized import QuantizedLSTM, QuantizedRNN
from .recurrent import Recurrent
from .rnn import RNN
from .tape import Gradients, Tape

__all__ = ["LSTM", "RNN", "Gradients", "QuantizedLSTM", "QuantizedRNN", "Recurrent", "Tape", "load"]
