"""ONNX models, as users have them: files, bytes or objects."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from typing import Any

from .._base import checks
from .._files.onnx_package import package


def loaded(model: object, who: str) -> Any:
    """Return the model as an `onnx.ModelProto`: what came, if it is one. who: asks, in messages."""
    onnx = package(who)
    if isinstance(model, onnx.ModelProto):
        name, found = "model", model
    elif isinstance(model, (bytes, bytearray, memoryview)):
        name, found = "model", _parsed(onnx, bytes(model), "model")
    elif isinstance(model, (str, os.PathLike)):
        name = os.fsdecode(model)
        with open(name, "rb") as file:
            found = _parsed(onnx, file.read(), name)
        _load_weights(onnx, found, name)
    else:
        raise TypeError(f"model: expected a path, bytes or an onnx.ModelProto, got {checks.shown(model)}")
    if not found.opset_import or not (found.graph.node or found.graph.output):
        raise ValueError(f"{name}: expected an ONNX model, got one without a graph")
    return found


def inlined(model: Any) -> Any:
    """Put functions of the model's own in the place of their calls, if they have such nodes in them."""
    nodes = (node for function in model.functions for node in every_node(function.node))
    if not any(is_recurrent(node) for node in nodes):
        return model
    return importlib.import_module("onnx.inliner").inline_local_functions(model)


def every_node(nodes: Any) -> Iterator[Any]:
    """Nodes and, after each, those of its bodies."""
    for node in nodes:
        yield node
        for _, graph in bodies(node):
            yield from every_node(graph.node)


def bodies(node: Any) -> Iterator[tuple[str, Any]]:
    """Return the graphs that an If, a Loop or a Scan has, by the names of their attributes."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.name, attribute.g


def is_recurrent(node: Any) -> bool:
    """Whether it is a node that one layer may be."""
    if node.domain in {"", "ai.onnx"}:
        return node.op_type in {"LSTM", "GRU", "RNN"}
    return is_quantized(node)


def is_quantized(node: Any) -> bool:
    """Whether it is an LSTM of whole numbers, as ONNX Runtime's quantize_dynamic writes them."""
    return (node.domain, node.op_type) == ("com.microsoft", "DynamicQuantizeLSTM")


def _parsed(onnx: Any, data: bytes, name: str) -> Any:
    """Read a model from its file's bytes."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's own, which is not ours to import
        raise ValueError(f"{name}: expected an ONNX model: {error}") from error
    return model


def _load_weights(onnx: Any, model: Any, path: str) -> None:
    """Read the weights that are in files beside the model's."""
    external = importlib.import_module("onnx.external_data_helper")
    try:
        external.load_external_data_for_model(model, os.path.dirname(path))
    except (onnx.checker.ValidationError, OSError, ValueError) as error:
        raise ValueError(f"{path}: expected its weights in files beside it: {error}") from error
