"""ONNX Runtime, where it is installed and new enough, and our execution provider in it."""

from __future__ import annotations

import importlib
import os
import re
import threading
from typing import Any

from .. import _core
from .._base import runtime

NAME: str = _core.onnxruntime_provider
OLDEST = (1, 24)
# From this version on sessions take plug-ins by name, in `providers`.
TAKES_NAMES = (1, 25)

_lock = threading.Lock()


def find() -> Any:
    """Import onnxruntime.

    Raises
    ------
    ImportError
        If it is not installed, or older than 1.24; the message says what to install.
    """
    try:
        found = importlib.import_module("onnxruntime")
        version = version_of(found)
    except (ImportError, AttributeError) as error:  # another package's folder of this name has no version
        raise ImportError(
            "lstmfast.onnx needs onnxruntime for this: pip install 'lstmfast[onnxruntime]'"
        ) from error
    if version < OLDEST:
        raise ImportError(
            f"lstmfast.onnx needs onnxruntime 1.24 or newer, got {found.__version__}:"
            " pip install --upgrade onnxruntime"
        )
    return found


def version_of(onnxruntime: Any) -> tuple[int, int]:
    """Return its first two numbers."""
    numbers = re.match(r"(\d+)\.(\d+)", onnxruntime.__version__)
    return (int(numbers[1]), int(numbers[2])) if numbers else OLDEST


def get_library_path() -> str:
    """Return the path of the library that has the execution provider, for those who register it themselves.

    It is this package's own extension module, which ONNX Runtime finds two functions in.
    """
    return os.path.realpath(_core.__file__)


def get_ep_names() -> list[str]:
    """Name the execution providers of that library: `LstmfastExecutionProvider`."""
    return [NAME]


def register() -> None:
    """Make ONNX Runtime know our execution provider, in this process.

    After it `onnxruntime.InferenceSession(model, providers=["LstmfastExecutionProvider"])` runs LSTM, GRU
    and RNN nodes on lstmfast and all others on ONNX Runtime's CPU provider (from onnxruntime 1.25 on; 1.24
    takes only `SessionOptions.add_provider_for_devices`, and would silently use its CPU provider). `session`
    does both at once. Options of the provider: "threads", "weights" and "isa", as there, as strings.

    A second call does nothing. There is no way back: ONNX Runtime does not look whether sessions still use
    it.

    Raises
    ------
    ImportError
        If onnxruntime is not installed, or older than 1.24.
    """
    onnxruntime = find()
    with _lock:
        _core.onnxruntime_use_isa(runtime.isa())  # whoever has registered the library
        if not device(onnxruntime):
            onnxruntime.register_execution_provider_library("lstmfast", get_library_path())


def device(onnxruntime: Any) -> list[Any]:
    """Return the device of our provider, or nothing where it is not registered.

    Registered under two names it is there twice, and sessions take one only.
    """
    return [found for found in onnxruntime.get_ep_devices() if found.ep_name == NAME][:1]
