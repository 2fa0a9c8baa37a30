"""Classes that layers get: ours in place of Keras', and below whatever else they are.

A class of somebody's own, whose base is keras.layers.LSTM or its like, stays what it is. What it gets from
its base comes from ours instead.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import keras

from ._layers import BY_KERAS, Recurrent

_BACK = {ours: theirs for theirs, ours in BY_KERAS.items()}
_BASES = (keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN, keras.layers.RNN)

# In the __dict__ of layers that got their class here, and no others.
_MARK = "_lstmfast_accelerated"

# In classes made here: the class that a layer had before.
_THEIRS = "_lstmfast_theirs"


def can_take(layer: Any) -> bool:
    """Whether a layer is Keras' LSTM, GRU, SimpleRNN or RNN, or of a class over one, and not ours."""
    return isinstance(layer, keras.layers.RNN) and not isinstance(layer, Recurrent)


def is_taken(layer: Any) -> bool:
    """Whether a layer got its class from `take`."""
    return _MARK in layer.__dict__


def take(layer: Any) -> None:
    """Give a layer that `can_take` takes a class of ours. It keeps all that it has."""
    object.__setattr__(layer, "__class__", over_of(layer))
    layer.__dict__[_MARK] = True


def give_back(layer: Any) -> None:
    """Undo `take`."""
    del layer.__dict__[_MARK]
    theirs: type = _BACK.get(type(layer)) or getattr(type(layer), _THEIRS)
    object.__setattr__(layer, "__class__", theirs)


def over_of(layer: Any) -> Any:
    """Find our class of a layer's, or make one of somebody else's, as `_over` does."""
    cls: Any = type(layer)
    return _over(cls)


@cache
def _over(theirs: Any) -> Any:
    """Find our class of Keras', or make one of somebody else's.

    Raises
    ------
    TypeError
        If there can be none: its order of bases leaves no place for ours.
    """
    if theirs in BY_KERAS:
        return BY_KERAS[theirs]
    ours = BY_KERAS[next(base for base in _BASES if issubclass(theirs, base))]
    body = {
        "__module__": theirs.__module__,
        "__qualname__": theirs.__qualname__,
        "__doc__": theirs.__doc__,
        _THEIRS: theirs,
    }
    made = type(theirs.__name__, (theirs, ours), body)
    _name_alike(made, theirs)
    return made


def _name_alike(made: type, theirs: type) -> None:
    """Let files name a class that was made here as the one that it was made of, and find that by its name."""
    package, found, name = keras.saving.get_registered_name(theirs).rpartition(">")
    if found:
        for each in (made, theirs):  # the last one is whom a file finds
            keras.saving.register_keras_serializable(package, name)(each)


def own_loop(layer: Any) -> str | None:
    """Say what stands before our loop in a layer, if anything: its own one, or its class's."""
    if "inner_loop" in layer.__dict__:
        return "its own inner_loop"
    for cls in type(layer).__mro__:
        if cls is Recurrent:
            return None
        for name in ("inner_loop", "call"):
            if name in vars(cls):
                return f"{name} of its class {cls.__name__}"
    return None
