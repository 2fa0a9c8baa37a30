"""What a stream and a pool of them have in common: a model, and states in the core."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic

import numpy as np

from .. import _core
from .._base import checks
from .._base.arguments import Names, StateT
from .._base.checks import Array
from .._base.inference import Inference

# What messages call a state, its parts together, h and c.
STATE: Names = ("state", ("h", "c"), "state: h", "state: c")
TO: Names = ("to", ("h", "c"), "to: h", "to: c")  # of one row


class Kept(_core.StreamParts, Generic[StateT]):
    """What Stream and StreamPool have in common: a model, and states in the core."""

    __slots__ = ()

    _model: Inference[StateT, Any]
    _core: Any  # Stream32 or StreamPool32 of the core, or those of float64

    @property
    def model(self) -> Inference[StateT, Any]:
        """The model that is run. Weights that it is given later hold from the next call on."""
        return self._model

    @property
    def nbytes(self) -> int:
        """Bytes held besides the model: states, and what a step needs."""
        count: int = self._core.nbytes
        return count

    def _joined(self, h: Array, c: Array) -> StateT:
        return self._model._join(h, c, True)

    def _result(
        self,
        run: Callable[[Array], object],
        x: Array,
        out: object,
        shape: tuple[int, ...],
        symbols: str,
    ) -> Array:
        """Run into `out`, checked for a result of this shape, or into a new array; return whichever it is.

        x is the core's: it and the core's result have all axes, the user's may have none for a single row.
        """
        if out is None:
            y: Array = np.empty(shape, self._model.dtype)
        else:
            y = checks.output(out, "out", shape, symbols, self._model.dtype)
            checks.apart({"out": y}, {"x": x})
        run(y.reshape((*x.shape[:-1], shape[-1])))  # and nothing may fail any more: the state is the next one
        return y if out is None else out  # type: ignore[return-value] # an array, as `output` has seen

    def _width(self) -> tuple[int, str]:
        """How wide y is, in numbers and in words."""
        layout = self._model._layout
        return layout.output_size, layout.output_symbol
