"""Layers as ONNX models: one LSTM, GRU or RNN node a layer, and around them what gives our shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._base import checks
from . import onnx_activations, onnx_weights
from .onnx_graph import Graph
from .onnx_package import package

if TYPE_CHECKING:
    from .._base.kinds import Kind
    from .._base.layer import Layer

OPSET = 14  # every engine of the last years reads it
_OLDEST = 13  # Squeeze and Split take what they do as inputs from here on
LARGEST = 2**31 - 2**20  # bytes of weights: what protobuf holds, and room for the rest


def build(
    layer: Layer,
    numbers: Mapping[str, onnx_weights.Numbers],
    who: str,
    states: object,
    lengths: object,
    opset: object,
    sizes: Mapping[str, object],
) -> Any:
    """Build the model; see `Saved.to_onnx`. who: is asked for it, in messages. sizes: time, batch."""
    states, lengths = checks.flag(states, "states"), checks.flag(lengths, "lengths")
    fixed = {name: name if size is None else checks.integer(size, name, 1) for name, size in sizes.items()}
    _expect_in_onnx(layer, who)
    onnx = package(who)
    opset = checks.integer(opset, "opset", _OLDEST, onnx.defs.onnx_opset_version())
    return _Builder(layer, numbers, onnx, states, lengths, fixed).model(opset)


def check_size(layer: Layer) -> None:
    """ValueError if a layer's weights are more than one file holds."""
    size = sum(array.nbytes for array in layer._parameters.values())
    if size > LARGEST:
        raise ValueError(
            f"to_onnx: expected weights of less than 2 GiB, which is all that an ONNX file holds, got {size}"
            " bytes; onnx.save_model(lstmfast.onnx.export(layer), path, save_as_external_data=True) puts them"
            " into a file of their own"
        )


def options(layer: Layer) -> dict[str, Any]:
    """Return the attributes of a layer's nodes, those that are not as usual."""
    kind = layer._KIND
    found: dict[str, Any] = {"hidden_size": layer.hidden_size}
    if layer.bidirectional or layer.direction == "reverse":
        found["direction"] = "bidirectional" if layer.bidirectional else layer.direction
    if layer.clip is not None:
        found["clip"] = layer.clip
    if layer.activations != kind.activations:
        found |= onnx_activations.listed(layer.activations * layer._layout.directions)
    if layer.coupled:
        found["input_forget"] = 1
    if kind.reset_before and layer.reset_after:
        found["linear_before_reset"] = 1
    return found


class _Builder:
    """A model in the making."""

    def __init__(
        self,
        layer: Layer,
        numbers: Mapping[str, onnx_weights.Numbers],
        onnx: Any,
        states: bool,
        lengths: bool,
        sizes: Mapping[str, int | str],
    ) -> None:
        self._layer, self._numbers = layer, numbers
        self._time, self._batch = sizes["time"], sizes["batch"]
        self._graph = Graph(onnx)
        self._takes_states, self._takes_lengths = states, lengths

    def model(self, opset: int) -> Any:
        layer, graph = self._layer, self._graph
        kind, layout = layer._KIND, layer._layout
        before = self._initial()
        after: dict[str, list[str]] = {name: [] for name in kind.states}
        x = "x"
        if layer.batch_first:
            x = "x_by_time"
            graph.add("Transpose", ["x"], [x], perm=[1, 0, 2])
        for index in range(layout.num_layers):
            last = index == layout.num_layers - 1
            ends = self._node(x, index, before[index], alone=layout.num_layers == 1)
            for name, end in zip(kind.states, ends, strict=True):
                after[name].append(end)
            x = "y" if last else f"y_l{index}"
            self._side_by_side(f"Y_l{index}", x, batch_first=last and layer.batch_first)
        for name, ends_of in after.items():
            if len(ends_of) > 1:
                graph.add("Concat", ends_of, [f"{name}_n"], axis=0)
        return graph.made(kind.name, self._inputs(), self._outputs(), opset, _core.__version__)

    def _initial(self) -> list[list[str]]:
        """Name the initial states of each layer's node: "" where they are zero."""
        layout = self._layer._layout
        layers = range(layout.num_layers)
        states = self._layer._KIND.states
        if not self._takes_states:
            return [["" for _ in states] for _ in layers]
        if layout.num_layers == 1:
            return [[f"{name}_0" for name in states]]
        parts = self._graph.constant("directions", np.full(layout.num_layers, layout.directions, np.int64))
        for name in states:
            self._graph.add("Split", [f"{name}_0", parts], [f"{name}_0_l{n}" for n in layers], axis=0)
        return [[f"{name}_0_l{n}" for name in states] for n in layers]

    def _node(self, x: str, index: int, before: list[str], alone: bool) -> list[str]:
        """Add a layer's node; return the names of its last states."""
        layer, graph = self._layer, self._graph
        kind = layer._KIND
        weights = {
            name: graph.weight(f"{name}_l{index}", numbers)
            for name, numbers in onnx_weights.inputs(self._numbers, layer._layout, kind, index).items()
        }
        lengths = "lengths" if self._takes_lengths else ""
        given = [x, weights["W"], weights["R"], weights.get("B", ""), lengths, *before]
        given += [weights["P"]] if "P" in weights else []
        while not given[-1]:
            given.pop()
        ends = [f"{name}_n" if alone else f"{name}_n_l{index}" for name in kind.states]
        graph.add(kind.name, given, [f"Y_l{index}", *ends], f"{kind.name}_l{index}", **options(layer))
        return ends

    def _side_by_side(self, raw: str, y: str, batch_first: bool) -> None:
        """Turn ONNX's Y, [T, D, B, H], into ours, [T, B, D*H] or [B, T, D*H]."""
        layout, graph = self._layer._layout, self._graph
        if layout.directions == 1 and not batch_first:
            graph.add("Squeeze", [raw, graph.constant(f"{y}_axis", np.array([1]))], [y])
            return
        graph.add("Transpose", [raw], [f"{y}_by_row"], perm=[2, 0, 1, 3] if batch_first else [0, 2, 1, 3])
        # 0 is an axis as it is. -1 for the last would be unclear where there are no steps or rows.
        shape = graph.constant(f"{y}_shape", np.array([0, 0, layout.features]))
        graph.add("Reshape", [f"{y}_by_row", shape], [y])

    def _inputs(self) -> list[Any]:
        layer, value = self._layer, self._graph.value
        found = [value("x", layer.dtype, [*self._axes(), layer.input_size])]
        if self._takes_lengths:
            found.append(value("lengths", np.dtype(np.int32), [self._batch]))
        return found + (self._states("0") if self._takes_states else [])

    def _outputs(self) -> list[Any]:
        layer = self._layer
        y = self._graph.value("y", layer.dtype, [*self._axes(), layer._layout.features])
        return [y, *self._states("n")]

    def _states(self, end: str) -> list[Any]:
        layer = self._layer
        shape = [layer._depth, self._batch, layer.hidden_size]
        return [self._graph.value(f"{name}_{end}", layer.dtype, shape) for name in layer._KIND.states]

    def _axes(self) -> list[int | str]:
        return [self._batch, self._time] if self._layer.batch_first else [self._time, self._batch]


def _expect_in_onnx(layer: Layer, who: str) -> None:
    """Refuse what ONNX has no node for."""
    kind: Kind = layer._KIND
    if kind.normalises:
        raise TypeError(f"{who}: expected a kind of layer that ONNX has, got {type(layer).__name__}")
    lacking = [f"{name}={value!r}" for name in ("proj_size", "zoneout") if (value := getattr(layer, name))]
    if lacking:
        raise ValueError(
            f"{who}: expected a layer that ONNX has a node for, got one with {', '.join(lacking)}"
        )
