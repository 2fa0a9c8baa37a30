# Known by: _forecast, sklearn
"""Training recurrent layers on arrays: windows, batches by length, Adam, early stopping. NumPy alone.

>>> import numpy as np, lstmfast
>>> from lstmfast import training
>>> from lstmfast._fitting import Settings, Windows, fit, horizons
>>> series = np.sin(np.arange(500.0))[:, np.newaxis]
>>> lstm, head = lstmfast.LSTM(1, 16, seed=0), training.Dense(16, 3, seed=1)
>>> targets = horizons(series, 3)  # the next three numbers after each step
>>> data = Windows(series[:400], targets[:400], 32, warm_up=8)
>>> later = Windows(series[400:], targets[400:], 32, warm_up=8)
>>> history = fit(lstm, head, data, held_out=later, settings=Settings(epochs=3))
>>> history.best_epoch
3
"""

from .applying import apply
from .batches import Batch, Batches
from .fitting import evaluate, fit
from .history import History
from .seeds import streams
from .sequences import Sequences, checked_rows
from .settings import Settings
from .windows import Windows, horizons

__all__ = [
    "Batch",
    "Batches",
    "History",
    "Sequences",
    "Settings",
    "Windows",
    "apply",
    "checked_rows",
    "evaluate",
    "fit",
    "horizons",
    "streams",
]
