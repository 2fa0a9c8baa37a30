"""Whether a graph that is traced now will leave this process, in a file whose readers know nothing of us."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

import keras


class Writers:
    """Functions, by whose being at work it is known. All are public: Keras has no flag for it."""

    def __init__(self, *functions: Callable[..., Any]) -> None:
        everybody = (keras.Model.export, *functions)
        self._codes = {inspect.unwrap(function).__code__ for function in everybody}

    def at_work(self) -> bool:
        """Whether one of them, or a `keras.export.ExportArchive`, has called whoever asks.

        It walks the stack, some microseconds: to be asked while tracing.
        """
        frame = sys._getframe().f_back
        while frame is not None:
            if frame.f_code in self._codes:
                return True
            if isinstance(frame.f_locals.get("self"), keras.export.ExportArchive):
                return True
            frame = frame.f_back
        return False
