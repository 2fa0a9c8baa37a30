"""Whole models: Keras' recurrent layers become ours where they stand, and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import keras

from . import _backends, _classes, _paths
from ._layers import Recurrent
from ._weights import forget

L = TypeVar("L", bound=Any)


@dataclass(frozen=True)
class Entry:
    """A recurrent layer of a model.

    Attributes
    ----------
    name
        Where it is: names of the layers around it, then its own, joined by slashes.
    layer
        The layer.
    accelerated
        Whether lstmfast does its work (where it can: see `explain`).
    reason
        Why, or why not.
    """

    name: str
    layer: Any
    accelerated: bool
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


def accelerate(model: L) -> L:
    """Let lstmfast do the work of every `keras.layers.LSTM`, `GRU`, `SimpleRNN` and `RNN`, in place.

    Layers stay the objects that they are, with their weights, names and places: only their class changes, to
    `lstmfast.keras.LSTM` and so on. So optimizers, saved files, shared weights and references from elsewhere
    go on working, before the model is built as after it. In nested models, in wrappers (`Bidirectional`,
    `TimeDistributed`), in layers of your own: wherever Keras itself finds layers. What is not changed, and
    why, is in `report(model)`.

    What Keras has traced for `fit`, `evaluate` and `predict` is made anew. A `tf.function` or `jax.jit` of
    your own around the model stays as it was traced.

    Parameters
    ----------
    model
        A model, or any layer; it may itself be an LSTM, a GRU, a SimpleRNN or an RNN.

    Returns
    -------
    model
        The same object.

    Raises
    ------
    TypeError
        If it is no `keras.Layer`.
    """
    _check(model, "accelerate")
    changed = False
    for layer in _layers(model):
        if _classes.can_take(layer) and reason_against(layer) is None:
            _classes.take(layer)
            _backends.BACKEND.adopt(layer)
            changed = True
    if changed:
        _retrace(model)
    return model


def restore(model: L) -> L:
    """Undo `accelerate`: layers that it changed are again what they were before.

    Parameters, returns and raises as `accelerate`. Layers that were made as `lstmfast.keras.LSTM` and so on
    stay.
    """
    _check(model, "restore")
    changed = False
    for layer in _layers(model):
        if _classes.is_taken(layer):
            _backends.BACKEND.release(layer)
            _classes.give_back(layer)
            for each in _layers(layer):
                forget(each)
            changed = True
    if changed:
        _retrace(model)
    return model


def report(model: Any) -> list[Entry]:
    """List a model's recurrent layers: which of them are lstmfast's, which are not, and why.

    Raises TypeError if it is no `keras.Layer`.
    """
    _check(model, "report")
    entries = []
    for name, layer in _named(model, model.name, set()):
        if isinstance(layer, Recurrent):
            how = "accelerated" if _classes.is_taken(layer) else "made as one of lstmfast.keras"
            own = _classes.own_loop(layer)
            reason = _paths.cells_for_core(layer, False)
            if own is not None:
                entries.append(Entry(name, layer, True, f"{how}, as far as {own} leaves it to ours"))
            elif isinstance(reason, str):
                entries.append(Entry(name, layer, False, f"{how}, but {reason}"))
            else:
                entries.append(Entry(name, layer, True, how))
        elif isinstance(layer, keras.layers.RNN):
            reason = reason_against(layer) or NOT_YET
            entries.append(Entry(name, layer, False, reason))
    return entries


NOT_YET = "not accelerated yet: call lstmfast.keras.accelerate(model)"


def reason_against(layer: Any) -> str | None:
    """Say why a recurrent layer of Keras' is left as it is; None where it is not."""
    if "inner_loop" in layer.__dict__:
        return "it has an inner_loop of its own, in place of its class's"
    try:
        _classes.over_of(layer)
    except Exception as error:  # whatever making a class of it does
        return f"its class cannot have ours among its bases: {error}"
    if isinstance(layer, keras.layers.RNN):
        reason = _paths.cells_for_core(layer, False)
        if isinstance(reason, str):
            return reason
    return None


def _layers(model: Any) -> list[Any]:
    """All layers of one, itself first, each once: those that Keras tracks."""
    return [layer for _, layer in _named(model, "", set())]


def _named(layer: Any, name: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if id(layer) in seen:
        return
    seen.add(id(layer))
    yield name, layer
    for inner in _inner(layer):
        yield from _named(inner, f"{name}/{inner.name}", seen)


def _inner(layer: Any) -> list[Any]:
    """Layers right inside of one. `_flatten_layers` is what Keras' own models walk by."""
    found: list[Any] = list(layer._flatten_layers(include_self=False, recursive=False))
    return found


def _retrace(model: Any) -> None:
    """Let Keras trace anew whatever of the model, and of models inside of it, it had traced."""
    for layer in _layers(model):
        if isinstance(layer, keras.Model):
            for name in ("train_function", "test_function", "predict_function"):
                if getattr(layer, name, None) is not None:
                    setattr(layer, name, None)
            if getattr(layer, "jit_compile", None) and not _all_jit(layer):
                layer.jit_compile = False


def _all_jit(model: Any) -> bool:
    return all(layer.supports_jit for layer in _layers(model))


def _check(model: object, function: str) -> None:
    """Raise a TypeError that names the function if a model is no layer."""
    if not isinstance(model, keras.Layer):
        raise TypeError(f"model: {function} expected a keras.Model or a layer, got {type(model).__name__}")
