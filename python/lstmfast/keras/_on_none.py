"""Keras' other backends (openvino): all goes along Keras' own path. And what most backends need not do."""

from __future__ import annotations

from typing import Any

import keras

BEGINS_WITH_STATE = False


def refusal(recurrences: list[Any], tensors: list[Any], dtype: str) -> str:
    """Say that nothing is for the core."""
    return f"Keras' backend is {keras.config.backend()}, not torch, jax, tensorflow or numpy"


def refuse_own_path(layer: Any, x: Any, reason: str) -> None:
    """Let Keras' own path go on."""


def adopt(layer: Any) -> None:
    """Leave a layer as it is."""


def release(layer: Any) -> None:
    """Leave a layer as it is."""
