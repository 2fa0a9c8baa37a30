# Known by: _bench, _cli
"""ONNX: trained models in ONNX Runtime with our kernels, layers from files, and back."""

from ._explain import ModelExplanation, NodeExplanation, explain
from ._runtime import get_ep_names, get_library_path, register
from ._session import session

__all__ = [
    "ModelExplanation",
    "NodeExplanation",
    "explain",
    "get_ep_names",
    "get_library_path",
    "register",
    "session",
]
