"""The package onnx, which is imported where a model is read or written, and nowhere before."""

from __future__ import annotations

import importlib
from typing import Any


def package(who: str) -> Any:
    """Import onnx, or say how it is installed. who: wants it, in the message."""
    try:
        return importlib.import_module("onnx")
    except ImportError as error:
        raise ImportError(f"{who} needs onnx: pip install 'lstmfast[onnx]'") from error
