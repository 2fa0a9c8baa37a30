"""What all modules of ours have, of sequences and of single steps, and which of PyTorch's each one is."""

from __future__ import annotations

import inspect
from typing import Any

from . import _freezing
from ._own import forget, forget_all, is_frozen, is_quantized, unfreeze

# In __dict__ of our modules: what torch.fx asks for. A module of PyTorch's own is a leaf of its graphs.
LEAF = "__module__"

# Our classes, and PyTorch's that they are.
PLAIN: dict[type, Any] = {}

# PyTorch's, and what stands between it and somebody else's class of it.
BELOW: dict[type, type] = {}


class Ours:
    """Base of every module whose work is lstmfast's. In its bases it stands before PyTorch's class."""

    _lstmfast_recompute = False
    _lstmfast_quantized: Any = None

    # Copies, pickles and TorchScript.

    def __getstate__(self) -> dict[str, Any]:
        inherited = getattr(super(), "__getstate__", None)  # which every object has since Python 3.11
        state: dict[str, Any] = dict(inherited() if inherited else self.__dict__)
        forget(state)
        return state

    def __prepare_scriptable__(self) -> Any:
        """Give torch.jit.script a module of PyTorch's own with the same parameters."""
        if is_quantized(self):
            raise RuntimeError("this module is quantized, which TorchScript cannot run: restore() it first")
        base = PLAIN.get(type(self)) or getattr(self, "_lstmfast_theirs", None)
        if base is None:
            return self
        plain = base.__new__(base)
        plain.__dict__.update(self.__dict__)
        plain.__dict__.pop(LEAF, None)
        forget_all(plain.__dict__)
        return plain


class Offers:
    """What our own classes offer beside PyTorch's."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:  # Self, which a mixin cannot say
        """Make a module that torch.fx takes for PyTorch's, if it is no subclass that may do more."""
        module = super().__new__(cls)
        if cls in PLAIN:
            module.__dict__[LEAF] = PLAIN[cls].__module__
        return module

    @property
    def frozen(self) -> bool:
        """Whether `freeze` holds."""
        return is_frozen(self)

    def freeze(self) -> Any:  # Self, which a mixin cannot say
        """Promise that the weights stay as they are: calls then skip the pass that looks for changes.

        For inference. On a graph, frozen weights are constants: no gradient goes to them, while those of the
        input and of the states are as before. A copy or a pickle of a frozen module is not frozen.

        Returns
        -------
        LSTM or its like
            The module itself.

        Raises
        ------
        RuntimeError
            If the core cannot run these weights, by their dtype or device, or they are computed at each call
            (torch.nn.utils.parametrize): the message says why. Later, from calls, if a weight was changed,
            replaced or moved meanwhile. (A change that PyTorch does not count, such as `p.data.mul_()`, is
            not seen: calls go on with the weights as they were, until `unfreeze`.)
        """
        _freezing.freeze(self)
        return self

    def unfreeze(self) -> Any:  # Self, which a mixin cannot say
        """Take the promise of `freeze` back: the next call looks whether the weights have changed.

        Returns
        -------
        LSTM or its like
            The module itself.
        """
        unfreeze(self)
        return self


def offer(ours: Any, below: type, theirs: Any) -> None:
    """Register a class, and what stands for it in other people's, where users and pickles find it."""
    PLAIN[ours], BELOW[theirs] = theirs, below
    ours.__module__ = "lstmfast.torch"
    ours.__signature__ = inspect.signature(theirs)
