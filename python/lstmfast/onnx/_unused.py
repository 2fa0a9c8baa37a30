"""What nothing in a model uses any more: old weights, and what they were made of."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ._models import bodies
from ._scopes import Place, Scope


class Unused:
    """What to take out of a model."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._asked: list[tuple[Scope, str]] = []

    def replaced(self, place: Place, names: list[str]) -> None:
        """Remember what a node used before."""
        self._asked += [(place.scope, name) for name in names]

    def drop(self) -> None:
        """Take out what is used by nothing now, and then what only that was made of."""
        users = _users(self._model.graph)
        asked = self._asked
        while asked:
            scope, name = asked.pop()
            source = scope.source(name)
            if users[name] or source.reason:  # by its name alone, which another graph may have as well
                continue
            graph = source.scope.graph
            if source.node is None:
                _remove(graph.initializer, name)
                _remove(graph.input, name)  # where it was both
                _remove(graph.value_info, name)
            elif source.node in graph.node and not any(users[each] for each in source.node.output):
                for each in source.node.output:
                    _remove(graph.value_info, each)
                users.subtract(each for each in source.node.input if each)
                asked += [(source.scope, each) for each in source.node.input if each]
                graph.node.remove(source.node)


def _remove(values: Any, name: str) -> None:
    for place, value in enumerate(values):
        if value.name == name:
            del values[place]
            return


def _users(graph: Any) -> Counter[str]:
    """How often each name is used, in bodies as well."""
    users = Counter(value.name for value in graph.output)
    for node in graph.node:
        users.update(name for name in node.input if name)
        for _, body in bodies(node):
            users += _users(body)
    return users
