# Known by: _bench, keras
"""PyTorch's LSTM, GRU and RNN with lstmfast's work in them: drop-ins, and `accelerate` for whole models.

>>> import torch, lstmfast.torch
>>> model = torch.nn.Sequential(torch.nn.LSTM(3, 32))
>>> model = lstmfast.torch.accelerate(model)   # every LSTM, GRU and RNN in it, and their cells
>>> print(lstmfast.torch.explain(model[0], torch.zeros(5, 2, 3)).path)
lstmfast

Needs PyTorch, which lstmfast itself does not: `pip install 'lstmfast[torch]'`.
"""

try:
    import torch as _  # noqa: F401
except ImportError as error:
    raise ImportError("lstmfast.torch needs PyTorch: pip install 'lstmfast[torch]'") from error

from . import _dynamo, _flops, _graph, _operator_graph, _threads  # noqa: F401, two of them register
from ._accelerate import Entry, accelerate, freeze, report, restore, unfreeze
from ._cells import GRUCell, LSTMCell, RNNCell
from ._explain import Explanation, explain
from ._modules import GRU, LSTM, RNN, Recurrent
from ._quantize import quantize

_dynamo.install((Recurrent,), _graph)
_threads.borrow()

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Entry",
    "Explanation",
    "GRUCell",
    "LSTMCell",
    "RNNCell",
    "accelerate",
    "explain",
    "freeze",
    "quantize",
    "report",
    "restore",
    "unfreeze",
]
