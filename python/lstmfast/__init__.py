# Known by: _demo, _bench, _cli, _forecast
"""The LSTM for CPUs: fused SIMD kernels, forward and backward, the same bits every time.

>>> import numpy as np, lstmfast
>>> lstm = lstmfast.LSTM(input_size=3, hidden_size=32, seed=0)
>>> x = np.zeros((100, 8, 3), np.float32)      # 100 time steps of 8 sequences
>>> y, (h_n, c_n) = lstm(x)                    # run it
>>> y, (h_n, c_n), tape = lstm.forward(x)      # run it and remember
>>> grads = lstm.backward(tape, dy=np.ones_like(y))

Names, shapes and gate order (i, f, g, o; of a GRU r, z, n) are PyTorch's, so weights go both ways untouched.
"""

from . import _core as _core  # before NumPy, which says less of what it cannot do
from . import datasets, reference, training
from ._base.names import settle
from ._base.runtime import available_isas, get_num_threads, isa, set_num_threads
from ._core import __version__
from ._layers import (
    GRU,
    LSTM,
    RNN,
    Gradients,
    LayerNormLSTM,
    QuantizedGRU,
    QuantizedLSTM,
    QuantizedRNN,
    Tape,
    load,
)
from ._small.compare import compare
from ._small.comparison import Comparison
from ._streams import Stream, StreamPool, StreamSnapshot
from .training._gradient_flow import GradientFlow, gradient_flow

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Comparison",
    "GradientFlow",
    "Gradients",
    "LayerNormLSTM",
    "QuantizedGRU",
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

settle(__name__, __all__, globals())
