"""What our modules keep besides PyTorch's attributes."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from ._reading import spec_of
from ._weights import Packed

# Where a module keeps it: in its __dict__, neither copied nor pickled.
_KEY = "_lstmfast"
# Likewise, copied and pickled, and there only where it is on: the class has it, False.
_RECOMPUTE = "_lstmfast_recompute"


class Frozen(NamedTuple):
    """Weights promised not to change: the network of them, and what shows that some were changed."""

    network: Any
    marks: tuple[tuple[int, int], ...]  # of each weight, address and version
    held: list[Tensor]  # so that no other weight can get such an address


class Own:
    """What one of our modules keeps."""

    def __init__(self, packed: Packed) -> None:
        self.packed = packed
        self.frozen: Frozen | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Own:
        """Begin anew: parametrized modules copy all that they have."""
        return Own(Packed(self.packed.spec))


def own_of(module: Any) -> Own:
    """Return what a module keeps, made when it is first asked for."""
    own: Own | None = module.__dict__.get(_KEY)
    if own is None:
        own = module.__dict__.setdefault(_KEY, Own(Packed(spec_of(module))))
    return own


def is_frozen(module: Any) -> bool:
    """Whether a module's `freeze` holds."""
    own: Own | None = module.__dict__.get(_KEY)
    return own is not None and own.frozen is not None


def recomputes(module: Any) -> bool:
    """Whether a module's backward pass makes the gates anew."""
    return bool(module._lstmfast_recompute)


def set_recompute(module: Any, value: bool) -> None:
    """Have the backward pass make the gates anew, or not."""
    if value:
        module.__dict__[_RECOMPUTE] = True
    else:
        module.__dict__.pop(_RECOMPUTE, None)


def forget(attributes: dict[str, Any]) -> None:
    """Drop what copies do not have from a module's attributes, or a copy of them."""
    attributes.pop(_KEY, None)


def forget_all(attributes: dict[str, Any]) -> None:
    """Drop all that a module of PyTorch's has not."""
    forget(attributes)
    attributes.pop(_RECOMPUTE, None)
