"""Values that a model always has, however it comes to them: tensors, and what nodes make of tensors.

The nodes are computed by onnx's own reference, one by one, so that no operator is written here again.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from .._base.checks import AnyArray
from .._files.onnx_package import package
from ._floats import of_tensor
from ._models import bodies
from ._scopes import Scope, Source

_DRAWN = {
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Multinomial",
    "Bernoulli",
}


class Constants:
    """The constants of a model. Each is computed once, and is one array for all who ask."""

    def __init__(self, model: Any) -> None:
        self._onnx = package("lstmfast.onnx")
        self._model = model
        self._known: dict[tuple[int, str], AnyArray] = {}
        self._scopes: list[Scope] = []  # kept alive, for their numbers are in the keys

    def value(self, scope: Scope, name: str) -> AnyArray:
        """Return a value.

        Raises
        ------
        ValueError
            If it is known only when the model runs; the message says from what.
        """
        self._scopes.append(scope)
        first = scope.source(name)
        asked = [first]
        waiting: set[tuple[int, str]] = set()
        while asked:
            source = asked[-1]
            if source.key in self._known:
                asked.pop()
                continue
            if source.reason:
                raise ValueError(source.reason)
            if source.node is None:
                self._known[source.key] = self._of_tensor(source.tensor)
                continue
            before = [source.scope.source(each) for each in source.node.input if each]
            missing = [each for each in before if each.key not in self._known]
            if not missing:
                self._compute(source)
                continue
            if source.key in waiting:
                raise ValueError(f"{source.name!r} is computed from itself")
            waiting.add(source.key)
            asked += missing
        return self._known[first.key]

    def _of_tensor(self, tensor: Any) -> AnyArray:
        if tensor.data_location == self._onnx.TensorProto.EXTERNAL:
            raise ValueError(
                f"{tensor.name!r} is in a file of its own, which was not read: expected the model's path,"
                " or a model after onnx.load_external_data_for_model"
            )
        try:
            return of_tensor(self._onnx, tensor)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(f"{tensor.name!r} is no whole tensor: {error}") from error

    def _compute(self, source: Source) -> None:
        """Compute all outputs of a node, whose inputs are known."""
        node, scope = source.node, source.scope
        if node.op_type in _DRAWN:
            raise ValueError(f"{source.name!r} is drawn by {node.op_type}")
        if any(bodies(node)):
            raise ValueError(f"{source.name!r} is computed by {node.op_type}")
        given = {name: self._known[scope.source(name).key] for name in node.input if name}
        results = _run(self._onnx, self._model, node, given, source.name)
        for name, array in zip((name for name in node.output if name), results, strict=True):
            self._known[id(scope), name] = np.asarray(array)


def _run(onnx: Any, model: Any, node: Any, given: dict[str, AnyArray], name: str) -> list[AnyArray]:
    """Run one node."""
    helper = onnx.helper
    alone = onnx.NodeProto()
    alone.CopyFrom(node)
    opsets = list(model.opset_import)
    if node.op_type == "DequantizeLinear":
        # The reference has late versions alone, of which what was before is a part. com.microsoft's is the
        # same, for more kinds of numbers.
        alone.domain, opsets = "", [helper.make_opsetid("", min(21, onnx.defs.onnx_opset_version()))]
    value = onnx.ValueInfoProto
    graph = helper.make_graph(
        [alone],
        "constant",
        [value(name=each) for each in given],
        [value(name=each) for each in node.output if each],
    )
    made = helper.make_model(graph, opset_imports=opsets, functions=list(model.functions))
    reference = importlib.import_module("onnx.reference")
    try:
        with np.errstate(all="ignore"):  # infinities and NaN are data
            results: list[AnyArray] = reference.ReferenceEvaluator(made).run(None, given)
    except Exception as error:
        raise ValueError(f"{name!r} cannot be computed by onnx from {node.op_type}: {error}") from error
    return results
