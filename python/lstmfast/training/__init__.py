# Known by: _demo, _fitting, _forecast, sklearn, lstmfast
"""The output node and what training needs beyond the layers: losses, Adam and clipping.

One step of training an LSTM with a dense head to forecast, and one of training it to classify:

>>> import numpy as np, lstmfast
>>> from lstmfast import training
>>> lstm = lstmfast.LSTM(1, 32, seed=0)
>>> head = training.Dense(32, 1, seed=0)
>>> adam = training.Adam(lstm, head, learning_rate=1e-2)
>>> x, target = np.zeros((50, 8, 1), np.float32), np.ones((50, 8, 1), np.float32)

>>> h, _, lstm_tape = lstm.forward(x)
>>> p, head_tape = head.forward(h)
>>> loss, dp = training.mean_squared_error(p, target)
>>> head_grads = head.backward(head_tape, dp)
>>> lstm_grads = lstm.backward(lstm_tape, head_grads.x)
>>> gradients, norm = training.clip_global_norm(lstm_grads.parameters, head_grads.parameters, max_norm=1.0)
>>> adam.step(*gradients)

With ``Dense(32, 10, activation="softmax")`` the loss is ``cross_entropy(head_tape, labels)``, which
takes the tape where `mean_squared_error` takes p; everything else stays.
"""

from .adam import Adam, Model
from .clipping import clip_global_norm
from .dense import Dense, DenseGradients, DenseTape, LogitGradient
from .losses import cross_entropy, mean_squared_error

__all__ = [
    "Adam",
    "Dense",
    "DenseGradients",
    "DenseTape",
    "LogitGradient",
    "Model",
    "clip_global_norm",
    "cross_entropy",
    "mean_squared_error",
]
