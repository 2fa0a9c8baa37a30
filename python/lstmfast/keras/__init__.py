# Known by: _bench
"""Keras' LSTM, GRU and SimpleRNN with lstmfast's work in them: drop-ins, and `accelerate` for whole models.

>>> import keras, lstmfast.keras
>>> model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(32), keras.layers.Dense(1)])
>>> model = lstmfast.keras.accelerate(model)   # every LSTM, GRU, SimpleRNN and RNN in it
>>> print(lstmfast.keras.explain(model.layers[0]).path)
lstmfast

Needs Keras 3, which lstmfast itself does not, over any of its backends torch, jax, tensorflow and numpy:
`pip install 'lstmfast[keras]'`.
"""

try:
    import keras as _keras
except ImportError as error:
    raise ImportError("lstmfast.keras needs Keras 3: pip install 'lstmfast[keras]'") from error
if not hasattr(_keras, "ops"):
    raise ImportError(
        f"lstmfast.keras needs Keras 3, not {_keras.__version__}: pip install 'lstmfast[keras]'"
    )

from ._accelerate import Entry, accelerate, report, restore
from ._explain import Explanation, explain
from ._layers import GRU, LSTM, RNN, Bidirectional, SimpleRNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Bidirectional",
    "Entry",
    "Explanation",
    "SimpleRNN",
    "accelerate",
    "explain",
    "report",
    "restore",
]
