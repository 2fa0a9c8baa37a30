"""How torch.compile gets to see our modules.

Dynamo refuses every instance of torch.nn.LSTM, GRU and RNN, subclasses too, unless its switch `allow_rnn`
is on; that would change what it does with PyTorch's own modules as well. So the switch is turned while it
looks at one of ours, and only then. Dynamo takes a second to import: until somebody else does, we wait.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import torch

_WRAPS_MODULES = "torch._dynamo.variables.builder"


def install(ours: tuple[type, ...], graph: ModuleType) -> None:
    """Let Dynamo take instances of `ours`, now or as soon as it is imported.

    With a PyTorch whose insides differ nothing is done, and graphs break at our modules as they do at
    PyTorch's.
    """
    if _WRAPS_MODULES in sys.modules:
        _adapt(sys.modules[_WRAPS_MODULES], ours, graph)
    else:
        sys.meta_path.insert(0, _Waiting(ours, graph))


class _Waiting(MetaPathFinder):
    """Finds nothing itself; when Dynamo is imported, it sees to it that it is adapted then."""

    def __init__(self, ours: tuple[type, ...], graph: ModuleType) -> None:
        self._ours, self._graph = ours, graph

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Let the others find the module, and add to what its loader does."""
        if fullname != _WRAPS_MODULES:
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec: ModuleSpec | None = finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                self._extend(spec.loader)
                return spec
        return None

    def _extend(self, loader: Any) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _adapt(module, self._ours, self._graph)

        loader.exec_module = exec_module


def _adapt(builder_module: ModuleType, ours: tuple[type, ...], graph: Any) -> None:
    builder = getattr(builder_module, "VariableBuilder", None)
    config = getattr(builder_module, "config", None)
    wrap_module = getattr(builder, "wrap_module", None)
    if wrap_module is None or not hasattr(config, "allow_rnn"):
        return

    def wrap(self: Any, value: Any) -> Any:
        if not isinstance(value, ours):
            return wrap_module(self, value)
        if graph.break_at is None:  # not before: Dynamo is only half imported while it is adapted
            graph.break_at = torch.compiler.disable(
                graph.call_pytorch,
                reason="lstmfast.torch: this call is PyTorch's own, or of a quantized module: not traced",
            )
        with config.patch(allow_rnn=True):  # type: ignore[union-attr]
            return wrap_module(self, value)

    builder.wrap_module = wrap  # type: ignore[union-attr]
