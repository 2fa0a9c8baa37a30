# Known by: nobody
"""ONNX: layers from the nodes of a model, trained ones back into it, and models of layers.

>>> import lstmfast.onnx
>>> lstm = lstmfast.LSTM(3, 32, seed=0)
>>> lstm.to_onnx("model.onnx", states=True)      # doctest: +SKIP
>>> lstmfast.onnx.layers("model.onnx")           # doctest: +SKIP
{'LSTM_l0': LSTM(3, 32)}

Reading and writing models needs the package onnx: `pip install 'lstmfast[onnx]'`.
"""

from ._export import export
from ._layers import layers
from ._replace import replace

__all__ = ["export", "layers", "replace"]
