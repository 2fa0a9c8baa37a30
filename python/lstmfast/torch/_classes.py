"""Classes that modules get: ours in place of PyTorch's, and below whatever else they are.

A class of somebody's own, whose base is torch.nn.LSTM or its like, stays what it is. What it gets from its
base comes from ours instead: `super().forward(...)` in it is ours to compute, as is a `forward` that it does
not have.
"""

from __future__ import annotations

import functools
from typing import Any

from torch.nn.utils import parametrize

from ._cells import RecurrentCell
from ._modules import Recurrent
from ._ours import BELOW, LEAF, PLAIN, Ours
from ._own import forget_all

_OURS: dict[type, type] = {theirs: ours for ours, theirs in PLAIN.items()}

# In the __dict__ of modules that got their class here, and no others.
_MARK = "_lstmfast_accelerated"

# In classes made here: the class that a module had before.
_THEIRS = "_lstmfast_theirs"


def can_take(module: Any) -> bool:
    """Whether a module is PyTorch's LSTM, GRU, RNN, a cell of these, or of a class over one, and not ours."""
    return isinstance(module, tuple(_OURS)) and not isinstance(module, Ours)


def is_taken(module: Any) -> bool:
    """Whether a module got its class from `take`."""
    return _MARK in module.__dict__


def take(module: Any) -> None:
    """Give a module that `can_take` takes a class of ours. It keeps all that it has."""
    leaf = type(module).__module__  # by which torch.fx knows what it goes into, before the class is another
    _set_class(module, _swapped(type(module), over))
    module.__dict__[_MARK] = True
    module.__dict__[LEAF] = leaf


def give_back(module: Any) -> None:
    """Undo `take`."""
    del module.__dict__[_MARK]
    module.__dict__.pop(LEAF, None)
    forget_all(module.__dict__)
    _set_class(module, _swapped(type(module), under))


def _set_class(module: Any, cls: type) -> None:
    object.__setattr__(module, "__class__", cls)


def _swapped(cls: type, swap: Any) -> type:
    """Swap a class, or of one that PyTorch has made for parametrized weights what that is made of."""
    if not _is_parametrized(cls):
        found: type = swap(cls)
        return found
    # Not in place: copies of the module have that class, too.
    body = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    (base,) = cls.__bases__
    return type(cls.__name__, (_swapped(base, swap),), body)


def unparametrized(cls: type) -> type:
    """Return the class that a module had before its weights were parametrized."""
    return unparametrized(cls.__bases__[0]) if _is_parametrized(cls) else cls


def _is_parametrized(cls: type) -> bool:
    return cls.__module__ == parametrize.__name__ and len(cls.__bases__) == 1


@functools.cache
def over(theirs: type) -> type:
    """Find our class of PyTorch's, or make one of somebody else's.

    Raises
    ------
    TypeError
        If there can be none: its order of bases leaves no place for ours.
    """
    if theirs in _OURS:
        return _OURS[theirs]
    ours = next(below for base, below in BELOW.items() if issubclass(theirs, base))
    body: dict[str, Any] = {
        "__module__": theirs.__module__,
        "__qualname__": theirs.__qualname__,
        "__doc__": theirs.__doc__,
        _THEIRS: theirs,
    }
    if all(getattr(theirs, name) is getattr(object, name) for name in ("__reduce_ex__", "__reduce__")):
        body["__reduce_ex__"] = _reduce
    return type(theirs.__name__, (theirs, ours), body)


def under(ours: type) -> type:
    """Find the class that `over` made this one of."""
    theirs: type = PLAIN.get(ours) or getattr(ours, _THEIRS)
    return theirs


def _reduce(module: Any, protocol: int) -> Any:
    """Pickle or copy a module of a class made here, which nobody finds by its name."""
    return _new, (getattr(type(module), _THEIRS),), module.__getstate__()


def _new(theirs: type) -> Any:
    cls: Any = over(theirs)
    return cls.__new__(cls)


def own_forward(module: Any) -> str | None:
    """Say what stands before our `forward` in a module, if anything: its own one, or its class's."""
    if "forward" in module.__dict__:
        return "it has a forward of its own"
    for cls in type(module).__mro__:
        if cls in (Recurrent, RecurrentCell):
            return None
        if "forward" in vars(cls):
            return f"its class {cls.__name__} has a forward of its own"
    return None
