"""Which nodes of a model are ours in a session, which are not, and why."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from .. import _core
from . import _session
from ._models import loaded
from ._without_nodes import recurrences_without_nodes


@dataclass(frozen=True)
class NodeExplanation:
    """What becomes of a recurrent node.

    Attributes
    ----------
    graph
        The name of the graph that has it: the model's, or the body of an If, Loop or Scan.
    name
        Its own, which may be empty.
    operator
        "LSTM", "GRU", "RNN" or "DynamicQuantizeLSTM".
    output
        The name of its first output.
    path
        "lstmfast" or "onnxruntime".
    reason
        Why it is not ours; empty where it is.
    """

    graph: str
    name: str
    operator: str
    output: str
    path: str
    reason: str

    def __str__(self) -> str:
        text = f"{self.operator} {self.name or self.output!r}: {self.path}"
        return f"{text}: {self.reason}" if self.reason else text


@dataclass(frozen=True)
class ModelExplanation:
    """What `explain` found.

    Attributes
    ----------
    nodes
        Of each recurrent node, those in the bodies of If, Loop and Scan as well.
    notes
        What else there is to say: recurrences that are no such nodes, and what to do. Nothing where the
        package onnx is not installed, which reads the model for it.
    """

    nodes: tuple[NodeExplanation, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        lines = [str(node) for node in self.nodes] or ["no LSTM, GRU or RNN node"]
        return "\n".join([*lines, *self.notes])


def explain(model: Any, sess_options: Any = None) -> ModelExplanation:
    """Say which nodes of a model would run on lstmfast in a `session`, which would not, and why.

    A session is made for it, and thrown away: what counts are the nodes that ONNX Runtime's optimisations
    leave.

    Parameters
    ----------
    model
        A path, bytes, or an `onnx.ModelProto`.
    sess_options
        As for `session`: how a model is optimised can make a difference.

    Raises
    ------
    ImportError
        If onnxruntime is not installed, or older than 1.24.
    TypeError, ValueError, FileNotFoundError
        As of `session`. What ONNX Runtime itself refuses is its error.
    """
    name = uuid.uuid4().hex
    _core.onnxruntime_open_report(name)
    try:
        _session.make(model, {"report": name}, sess_options)
    finally:
        found = _core.onnxruntime_close_report(name)
    nodes = tuple(
        NodeExplanation(graph, node, operator, output, "onnxruntime" if reason else "lstmfast", reason)
        for graph, node, operator, output, reason in found
    )
    return ModelExplanation(nodes, _notes(model))


def _notes(model: Any) -> tuple[str, ...]:
    """Say which recurrences are no such nodes, if that can be seen here."""
    try:
        read = loaded(model, "explain")
    except (ImportError, OSError, ValueError):  # no package onnx; ONNX Runtime's own format
        return ()
    return tuple(recurrences_without_nodes(read))
