"""Layers as ONNX models."""

from __future__ import annotations

from typing import Any

from .._base import checks
from .._files import onnx_model
from .._files.saved import Saved


def export(
    layer: Saved,
    *,
    states: bool = False,
    lengths: bool = False,
    time: int | None = None,
    batch: int | None = None,
    opset: int = onnx_model.OPSET,
) -> Any:
    """Make an ONNX model of a layer; `layer.to_onnx` writes it to a file, and says more.

    Parameters
    ----------
    layer
        An `LSTM`, `GRU` or `RNN`, or one of these with smaller weights.
    states, lengths, time, batch, opset
        As for `layer.to_onnx`.

    Returns
    -------
    onnx.ModelProto
        With a copy of the weights.

    Raises
    ------
    ImportError, TypeError, ValueError
        As `layer.to_onnx` does.

    Examples
    --------
    >>> model = lstmfast.onnx.export(lstmfast.GRU(3, 5))  # doctest: +SKIP
    """
    if not isinstance(layer, Saved):
        raise TypeError(f"layer: expected a layer of lstmfast, got {checks.shown(layer)}")
    return layer._onnx_model("export", states, lengths, opset, {"time": time, "batch": batch})
