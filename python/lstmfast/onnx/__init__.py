# Known by: _bench, _cli
"""ONNX: trained models in ONNX Runtime with our kernels, layers from models, and back.

>>> import lstmfast.onnx
>>> lstm = lstmfast.LSTM(3, 32, seed=0)
>>> lstm.to_onnx("model.onnx", states=True)      # doctest: +SKIP
>>> lstmfast.onnx.layers("model.onnx")           # doctest: +SKIP
{'LSTM_l0': LSTM(3, 32)}

Reading and writing models needs the package onnx: `pip install 'lstmfast[onnx]'`. Sessions need onnxruntime.
"""

from ._explain import ModelExplanation, NodeExplanation, explain
from ._export import export
from ._layers import layers
from ._replace import replace
from ._runtime import get_ep_names, get_library_path, register
from ._session import session

__all__ = [
    "ModelExplanation",
    "NodeExplanation",
    "explain",
    "export",
    "get_ep_names",
    "get_library_path",
    "layers",
    "register",
    "replace",
    "session",
]
