"""What our modules keep besides PyTorch's attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from ._reading import spec_of
from ._weights import Packed

# Where a module keeps it: in its __dict__, neither copied nor pickled.
_KEY = "_lstmfast"
# Likewise, copied and pickled, and there only where they are on. Classes have what says that they are off, so
# that torch.compile looks at them.
_RECOMPUTE = "_lstmfast_recompute"
_QUANTIZED = "_lstmfast_quantized"


class Held(Protocol):
    """What calls run in place of packed weights, and what shows that some of the weights were changed."""

    @property
    def network(self) -> Any:
        """The core's."""

    @property
    def marks(self) -> Any:
        """Of each weight, address and version; None: not known yet."""

    def changed(self, weights: list[Tensor]) -> None:
        """Deal with weights of other marks: raise a RuntimeError if they are others."""


class Frozen(NamedTuple):
    """Weights promised not to change."""

    network: Any
    marks: tuple[tuple[int, int], ...]
    held: list[Tensor]  # so that no other weight can get such an address

    def changed(self, weights: list[Tensor]) -> None:
        """Raise a RuntimeError."""
        raise RuntimeError(
            "a weight of this module was changed, replaced or moved after freeze(); call unfreeze(),"
            " and freeze() again if it is to stay as it is now"
        )


class Own:
    """What one of our modules keeps."""

    def __init__(self, packed: Packed) -> None:
        self.packed = packed
        self.frozen: Held | None = None
        # Of a module of single steps.
        self.seen: dict[int, Any] = {}  # by thread, its weights: see `_cell_weights`
        self.sizes: Any = None  # of its last call: see `_cell_run`

    def __deepcopy__(self, memo: dict[int, Any]) -> Own:
        """Begin anew: parametrized modules copy all that they have."""
        return Own(Packed(self.packed.spec))


def own_of(module: Any) -> Own:
    """Return what a module keeps, made when it is first asked for."""
    own: Own | None = module.__dict__.get(_KEY)
    if own is None:
        own = Own(Packed(spec_of(module)))
        own.frozen = module.__dict__.get(_QUANTIZED)
        own = module.__dict__.setdefault(_KEY, own)
    return own


def is_frozen(module: Any) -> bool:
    """Whether a module's `freeze` holds."""
    own: Own | None = module.__dict__.get(_KEY)
    return own is not None and type(own.frozen) is Frozen


def unfreeze(module: Any) -> None:
    """End a promise, if there is one. Smaller weights stay."""
    own_of(module).frozen = module.__dict__.get(_QUANTIZED)


def is_quantized(module: Any) -> bool:
    """Whether a module's weights were made smaller."""
    return module._lstmfast_quantized is not None


def set_quantized(module: Any, quantized: Held | None) -> None:
    """Have calls run smaller weights, or the module's own again."""
    if quantized is None:
        module.__dict__.pop(_QUANTIZED, None)
    else:
        module.__dict__[_QUANTIZED] = quantized
    own_of(module).frozen = quantized


def marks_of(weights: Sequence[Any]) -> tuple[tuple[int, int], ...]:
    """Return what shows, without a look at the numbers, that a weight was changed, replaced or moved."""
    try:
        return tuple([(weight.data_ptr(), weight._version) for weight in weights])
    except RuntimeError:
        # Made in inference mode: they have no version, nor can they change where PyTorch counts.
        return tuple((w.data_ptr(), 0 if w.is_inference() else w._version) for w in weights)


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
    attributes.pop(_QUANTIZED, None)
