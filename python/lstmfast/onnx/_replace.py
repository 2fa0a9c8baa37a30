"""Trained weights back into the nodes that they came from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._base import checks, kinds
from .._base.conventions.orders import ONNX, ONNX_QUANTIZED
from .._files import onnx_weights
from .._files.onnx_package import package
from .._files.saved import Saved
from .._layers import LSTM, QuantizedLSTM
from ._constants import Constants
from ._floats import kind_of, rounded
from ._layers import read
from ._models import bodies, inlined, is_quantized, loaded
from ._nodes import INPUTS, named_inputs
from ._quantized_nodes import ALL_INPUTS
from ._scopes import Place, places
from ._unused import Unused

# In which layers may differ and still be the same node's.
_FREE = ("dropout", "recurrent_dropout", "weight_dtype", "calibrated", "saturated")


def replace(model: str | os.PathLike[str] | bytes | Any, layers: Mapping[str, Saved]) -> Any:
    """Make a model with the weights of layers in the place of its nodes'.

    Parameters
    ----------
    model
        As for `layers`; a ModelProto stays as it is.
    layers
        Layers by the names that `layers` gives them; nodes that are not named keep their weights. Each must
        have the sizes and options that `layers` would give it; dropout is no matter.

    Returns
    -------
    onnx.ModelProto
        A copy. New weights are initializers of the model's graph, and what only the old ones were made of is
        gone. A layer that comes under several names is there once.

    Raises
    ------
    ImportError, OSError
        As `layers` does.
    TypeError
        If an argument is of the wrong kind, or a layer of another than its node.
    ValueError
        If `layers` would raise one, if a name is none of the model's, or if a layer does not fit its node.

    Notes
    -----
    Weights of a node in float16 or bfloat16 are rounded to it. Those that were whole numbers behind a
    DequantizeLinear become floats. A node of com.microsoft's DynamicQuantizeLSTM takes a `QuantizedLSTM` of
    int8, or an `LSTM`, of which it gets `quantize("int8")`.

    Examples
    --------
    >>> found = lstmfast.onnx.layers("model.onnx")            # doctest: +SKIP
    >>> train(found["/lstm/LSTM"])                            # doctest: +SKIP
    >>> onnx.save(lstmfast.onnx.replace("model.onnx", found), "trained.onnx")  # doctest: +SKIP
    """
    found = inlined(loaded(model, "replace"))
    if not isinstance(layers, Mapping):
        raise TypeError(f"layers: expected a mapping from names to layers, got {checks.shown(layers)}")
    if found is model:
        found = package("replace").ModelProto()
        found.CopyFrom(model)
    there = {place.key: place for place in places(found)}
    for name in layers:
        if name not in there:
            raise ValueError(f"layers: expected names of {list(there)}, got {checks.shown(name)}")
    constants = Constants(found)
    # All of them are looked at before the first changes anything that another is read from.
    new = [_Weights.of(there[name], layer, constants) for name, layer in layers.items()]
    unused = Unused(found)
    writer = _Writer(found)
    for weights in new:
        unused.replaced(weights.place, writer.write(weights))
    unused.drop()
    return found


class _Weights:
    """What a node's inputs become: tensors that still need names."""

    def __init__(self, place: Place, layer: Saved, tensors: dict[str, Any]) -> None:
        self.place, self.layer, self.tensors = place, layer, tensors

    @classmethod
    def of(cls, place: Place, layer: Saved, constants: Constants) -> _Weights:
        """Check a layer against its node, and find its weights as the node has them."""
        called = f"layers[{place.key!r}]"
        expected = read(place, constants, {})
        quantized = is_quantized(place.node)
        allowed = (LSTM, QuantizedLSTM) if quantized else (kinds.class_named(place.node.op_type),)
        if not isinstance(layer, allowed):
            names = " or ".join(each.__name__ for each in allowed)
            raise TypeError(f"{called}: expected an object of type {names}, got {checks.shown(layer)}")
        if _options(layer) != _options(expected):
            raise ValueError(f"{called}: expected one like the node's, {expected!r}, got {layer!r}")
        small: Any = layer.quantize("int8") if quantized and isinstance(layer, LSTM) else layer
        if quantized and (small.weight_dtype != "int8" or small.calibrated):
            raise ValueError(f"{called}: expected int8 without a calibration, got {layer!r}")
        convention = ONNX_QUANTIZED if quantized else ONNX
        numbers = onnx_weights.inputs(small._numbers(), small._layout, small._KIND, 0, convention)
        onnx = package("replace")
        tensors: dict[str, Any] = {}
        for name, each in numbers.items():
            if each.scale is not None:
                zero = np.zeros(each.scale.shape, np.int8)
                arrays = {name: each.array, f"{name}_scale": each.scale, f"{name}_zero_point": zero}
                tensors |= {key: onnx.numpy_helper.from_array(array) for key, array in arrays.items()}
                continue
            before = place.node.input[INPUTS.index(name)]
            array, source = constants.value(place.scope, before), place.scope.source(before)
            try:
                tensors[name] = rounded(onnx, each.array, kind_of(onnx, array, source.tensor))
            except ValueError as error:
                raise ValueError(f"{called}: {name}: {error}") from error
        return cls(place, layer, tensors)


def _options(layer: Saved) -> dict[str, Any]:
    return {name: value for name, value in layer._config().items() if name not in _FREE}


class _Writer:
    """New constants of a model, under names that nobody has."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._taken = _names(model.graph)
        self._written: dict[tuple[int, str, int], str] = {}

    def write(self, weights: _Weights) -> list[str]:
        """Give a node its weights; return the names of those that it had."""
        node = weights.place.node
        before = named_inputs(node, ALL_INPUTS)
        for name, tensor in weights.tensors.items():
            # One layer under several names is written once.
            key = id(weights.layer), name, tensor.data_type
            if key not in self._written:
                self._written[key] = self._constant(f"{weights.place.key}_{name}", tensor)
            index = ALL_INPUTS.index(name)
            node.input.extend([""] * (index + 1 - len(node.input)))
            node.input[index] = self._written[key]
        return [before[name] for name in weights.tensors if name in before]

    def _constant(self, wanted: str, tensor: Any) -> str:
        tensor.name, number = wanted, 0
        while tensor.name in self._taken:
            number += 1
            tensor.name = f"{wanted}_{number}"
        self._taken.add(tensor.name)
        graph = self._model.graph
        graph.initializer.append(tensor)
        if self._model.ir_version < 4:  # in which all of them are inputs as well
            helper = package("replace").helper
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        return str(tensor.name)


def _names(graph: Any) -> set[str]:
    """Return all names of values, in bodies as well."""
    found = {value.name for value in (*graph.input, *graph.initializer)}
    for node in graph.node:
        found |= {*node.input, *node.output}
        for _, body in bodies(node):
            found |= _names(body)
    return found
