"""Where LSTM, GRU and RNN nodes stand, also in the bodies of others, and where their inputs come from."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from ._models import bodies, is_recurrent


class Scope:
    """A graph: what its names stand for, and the graph around it."""

    def __init__(self, graph: Any, outer: Scope | None = None) -> None:
        self.graph, self.outer = graph, outer
        self._inputs = {value.name for value in graph.input}
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._sparse = {tensor.values.name for tensor in graph.sparse_initializer}
        self._nodes = {name: node for node in graph.node for name in node.output if name}

    def source(self, name: str) -> Source:
        """Find where a value comes from."""
        scope: Scope | None = self
        while scope is not None:
            # Before the inputs: what is both has this value unless the model's caller gives another.
            if name in scope._tensors:
                return Source(scope, name, tensor=scope._tensors[name])
            if name in scope._nodes:
                return Source(scope, name, node=scope._nodes[name])
            if name in scope._sparse:
                return Source(scope, name, reason=f"{name!r} is a sparse tensor")
            if name in scope._inputs:
                whose = "the model" if scope.outer is None else "a body"
                return Source(scope, name, reason=f"{name!r} is an input of {whose}")
            scope = scope.outer
        return Source(self, name, reason=f"{name!r} is nowhere in the model")


class Source(NamedTuple):
    """Where a value comes from: one of the last three."""

    scope: Scope
    name: str
    tensor: Any = None
    node: Any = None
    reason: str = ""  # why it is neither

    @property
    def key(self) -> tuple[int, str]:
        """Which value it is: names are of their graph."""
        return id(self.scope), self.name


class Place(NamedTuple):
    """A node, by its key in `layers`, and its graph."""

    key: str
    node: Any
    scope: Scope


def places(model: Any) -> list[Place]:
    """List all LSTM, GRU and RNN nodes in the order of the file.

    The key is the node's name. Where it has none, or shares it with another, it is the name of its first
    output; where that is not its alone either, the names of the nodes around it come first, and then a number
    last.
    """
    found = list(_below(Scope(model.graph), ()))
    outputs = [_output(node) for node, _, _ in found]
    paths = ["/".join((*path, name)) for name, (_, _, path) in zip(outputs, found, strict=True)]
    keys = [""] * len(found)
    for wanted in ([str(node.name) for node, _, _ in found], outputs, paths):
        open_ones = [number for number, key in enumerate(keys) if not key]
        often = Counter(keys) + Counter(wanted[number] for number in open_ones)
        for number in open_ones:
            if often[wanted[number]] == 1:
                keys[number] = wanted[number]
    for number, key in enumerate(keys):
        if not key:
            free = (f"{paths[number]}#{n}" for n in itertools.count())
            keys[number] = next(name for name in free if name not in keys)
    return [Place(key, node, scope) for key, (node, scope, _) in zip(keys, found, strict=True)]


def _below(scope: Scope, path: tuple[str, ...]) -> Iterator[tuple[Any, Scope, tuple[str, ...]]]:
    for node in scope.graph.node:
        if is_recurrent(node):
            yield node, scope, path
        for name, graph in bodies(node):
            own = node.name or _output(node)
            yield from _below(Scope(graph, scope), (*path, own, name))


def _output(node: Any) -> str:
    return str(next((name for name in node.output if name), node.op_type))
