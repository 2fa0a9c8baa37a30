"""Layers from the nodes of a model."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any, TypeAlias

from .._base import checks, kinds
from .._layers import GRU, LSTM, RNN, QuantizedLSTM
from ._constants import Constants
from ._models import inlined, is_quantized, loaded
from ._nodes import kind_of, plain
from ._quantized_nodes import quantized
from ._scopes import Place, places
from ._without_nodes import recurrences_without_nodes

Layer: TypeAlias = LSTM | GRU | RNN | QuantizedLSTM


def layers(
    model: str | os.PathLike[str] | bytes | Any, names: Collection[str] | None = None
) -> dict[str, Layer]:
    """Make a layer of every LSTM, GRU and RNN node of an ONNX model.

    Parameters
    ----------
    model
        A path, the bytes of a file, or an `onnx.ModelProto`. Weights in files of their own are read with a
        path, and must have been read already without one.
    names
        Of which nodes, as the result would name them. None: of all.

    Returns
    -------
    dict
        By the node's name, in the order of the file. A node without a name, or with one that others have,
        goes by its first output's; where that is not its alone either, the names of the nodes in whose bodies
        it is come first, "if_1/then_branch/y", and where that is not enough a number last, "y#1". Nodes that
        have the same weights and options are one layer.

    Raises
    ------
    ImportError
        If onnx is not installed: `pip install 'lstmfast[onnx]'`.
    TypeError
        If `model` or `names` is none.
    ValueError
        If it is no ONNX model, has no such node, or one that no layer can be: with weights that are known
        only when the model runs, with activations that differ between directions, or with shapes that do not
        fit. The message names the node, and `names` can choose others.
    OSError
        If a file cannot be read.

    Notes
    -----
    Nodes in the bodies of If, Loop and Scan are found, and in functions of the model's own. Weights may be
    made by other nodes of what is constant (Cast, Transpose, Concat, DequantizeLinear and so on). float16 and
    bfloat16 become float32, which is exact.

    A layer computes what ONNX Runtime makes of the node: f is 1 - i with `input_forget` (`coupled`), the
    arguments of gates are clipped and c is not, and numbers of activations are dealt out in order to those
    that take one; the rest have the operator's, or 0 (Affine, ScaledTanh, ThresholdedRelu). Initial states
    and lengths are for calls, with our shapes: y is [T, B, D*H] where ONNX has [T, D, B, H], and with
    `layout=1` (`batch_first`) states are [D, B, H] and not [B, D, H].

    Of com.microsoft's DynamicQuantizeLSTM a `QuantizedLSTM` of int8 is made, which rounds x and h for each
    row by itself, where ONNX Runtime takes all rows together. Where its whole numbers, less the zero point,
    are not all from -127 to 127, it is an `LSTM` of what they stand for.

    Examples
    --------
    >>> lstmfast.onnx.layers("model.onnx")  # doctest: +SKIP
    {'/lstm/LSTM': LSTM(80, 256, bidirectional=True)}
    """
    found = inlined(loaded(model, "layers"))
    there = places(found)
    if not there:
        lacking = "model: expected an LSTM, a GRU or an RNN node, got none"
        raise ValueError("; ".join([lacking, *recurrences_without_nodes(found)]))
    chosen = there if names is None else _chosen(there, names)
    constants = Constants(found)
    made: dict[Any, Layer] = {}
    try:
        return {place.key: read(place, constants, made) for place in chosen}
    except ValueError as error:
        if len(there) == 1:
            raise
        raise ValueError(f"{error}; names= chooses other nodes") from error


def _chosen(there: list[Place], names: object) -> list[Place]:
    """Find the nodes that are asked for."""
    if isinstance(names, (str, bytes)) or not isinstance(names, Collection):
        raise TypeError(f"names: expected None or several names of nodes, got {checks.shown(names)}")
    known = [place.key for place in there]
    for name in names:
        if name not in known:
            raise ValueError(f"names: expected some of {known}, got {checks.shown(name)}")
    return [place for place in there if place.key in names]


def read(place: Place, constants: Constants, made: dict[Any, Layer]) -> Layer:
    """Make the layer of a node, or find it: others may have the same weights and options."""
    try:
        reader = quantized if is_quantized(place.node) else plain
        config, parameters, made_of = reader(place, constants)
        name = "QuantizedLSTM" if "weight_dtype" in config else kind_of(place.node).name
        key = name, made_of, repr(config)
        if key not in made:
            cls: Any = kinds.class_named(name)
            layer = cls.__new__(cls)
            layer._configure(config, None)
            layer._restore(parameters, "weights")
            made[key] = layer
    except ValueError as error:
        raise ValueError(f"node {place.key!r} ({place.node.op_type}): {error}") from error
    return made[key]
