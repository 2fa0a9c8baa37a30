"""RTNeural's JSON: a list of layers, of which those of one recurrent kind in a row are read."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from .. import checks
from ..checks import AnyArray
from .holding import CALLED, Layers
from .parsed import item, numbers, parsed

_NAMES = ("kernel", "recurrent", "bias")


def read(value: object, kind: str, options: MutableMapping[str, Any]) -> tuple[Layers, dict[str, Any]]:
    """Read a path or what is parsed of a file: layers, and the rest: the file's layers before and after."""
    found = item(parsed(value, "rtneural"), "layers")
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise TypeError(f"{CALLED}['layers']: expected a list, got {checks.shown(found)}")
    types = [item(layer, "type", f"{CALLED}['layers'][{k}]") for k, layer in enumerate(found)]
    places = [k for k, each in enumerate(types) if each == kind.lower()]
    if not places:
        raise ValueError(f"{CALLED}['layers']: expected one of type {kind.lower()!r}, got {', '.join(types)}")
    first, last = places[0], places[-1]
    if places != list(range(first, last + 1)):
        raise ValueError(
            f"{CALLED}['layers']: expected those of type {kind.lower()!r} one behind the other, got others"
            f" between: {', '.join(types[first : last + 1])}"
        )
    layers: Layers = []
    for k in places:
        called = f"{CALLED}['layers'][{k}]"
        weights = item(found[k], "weights", called)
        if len(weights) != len(_NAMES):
            raise ValueError(f"{called}['weights']: expected {', '.join(_NAMES)}, got {len(weights)} arrays")
        arrays = {
            name: numbers(each, f"{called}['weights'][{j}]")
            for j, (name, each) in enumerate(zip(_NAMES, weights, strict=True))
        }
        layers.append([(called, arrays)])
    more = {"before": list(found[:first]), "after": list(found[last + 1 :])}
    return layers, {name: each for name, each in more.items() if each}


def written(
    layers: Sequence[Sequence[Mapping[str, AnyArray]]], kind: str, rest: Mapping[str, Any]
) -> dict[str, Any]:
    """Make what JSON can hold of a file."""
    if len(layers[0]) > 1:
        raise ValueError(
            "to_weights: expected a layer of one direction for 'rtneural', got a bidirectional one"
        )
    own = [
        {
            "type": kind.lower(),
            "activation": "tanh",
            "shape": [None, None, passes[0]["recurrent"].shape[0]],
            "weights": [passes[0][name].tolist() for name in _NAMES],
        }
        for passes in layers
    ]
    before, after = rest.get("before", []), rest.get("after", [])
    inputs = [None, None, layers[0][0]["kernel"].shape[0]]
    return {
        "in_shape": before[0].get("in_shape", inputs) if before else inputs,
        "layers": [*before, *own, *after],
    }
