"""The LSTM for CPUs: fused SIMD kernels, forward and backward, the same bits every time.

>>> import numpy as np, lstmfast
>>> lstm = lstmfast.LSTM(input_size=3, hidden_size=32, seed=0)
>>> x = np.zeros((100, 8, 3), np.float32)      # 100 time steps of 8 sequences
>>> y, (h_n, c_n) = lstm(x)                    # run it
>>> y, (h_n, c_n), tape = lstm.forward(x)      # run it and remember
>>> grads = lstm.backward(tape, dy=np.ones_like(y))

Names, shapes and gate order (i, f, g, o) are PyTorch's, so weights go both ways untouched.
"""

from . import datasets, reference, training
from ._compare import compare
from ._comparison import Comparison
from ._core import __version__
from ._files import load
from ._gradient_flow import GradientFlow, gradient_flow
from ._lstm import LSTM
from ._quantized import QuantizedLSTM, QuantizedRNN
from ._rnn import RNN
from ._runtime import available_isas, get_num_threads, isa, set_num_threads
from ._streams import Stream, StreamPool, StreamSnapshot
from ._tape import Gradients, Tape

__all__ = [
    "LSTM",
    "RNN",
    "Comparison",
    "GradientFlow",
    "Gradients",
    "QuantizedLSTM",
    "QuantizedRNN",
    "Stream",
    "StreamPool",
    "StreamSnapshot",
    "Tape",
    "__version__",
    "available_isas",
    "compare",
    "datasets",
    "get_num_threads",
    "gradient_flow",
    "isa",
    "load",
    "reference",
    "set_num_threads",
    "training",
]
