"""Which way a call of a layer goes, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from .._base import runtime
from . import _classes, _masks, _paths
from ._accelerate import NOT_YET, reason_against
from ._layers import Recurrent, prepare


@dataclass(frozen=True)
class Explanation:
    """What `explain` found.

    Attributes
    ----------
    path
        "lstmfast" or "keras"; "its own" where the layer, or its class, has a loop or a call that stands
        before lstmfast's, and may do anything.
    reason
        Why, and how.
    """

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def explain(
    layer: Any, x: Any = None, *, initial_state: Any = None, mask: Any = None, training: bool = False
) -> Explanation:
    """Say which way a call of a layer would go now, to lstmfast's core or along Keras' own path, and why.

    The call is not made. Without x only what holds for any input is looked at.

    Parameters
    ----------
    layer
        A recurrent layer, ours or Keras'; or a `Bidirectional` of two, of which the first answer that is not
        "lstmfast" is given.
    x
        The input, [B, T, I].
    initial_state, mask, training
        As in the call.

    Raises
    ------
    TypeError
        If layer is no recurrent layer.
    TypeError, ValueError
        If mask is what a call refuses.
    """
    if isinstance(layer, keras.layers.Bidirectional):
        found = [
            explain(each, x, initial_state=half, mask=mask, training=training)
            for each, half in zip(
                (layer.forward_layer, layer.backward_layer), _halves(initial_state), strict=True
            )
        ]
        return next((each for each in found if each.path != "lstmfast"), found[0])
    if not isinstance(layer, keras.layers.RNN):
        raise TypeError(
            "layer: expected an LSTM, GRU, SimpleRNN, RNN or a Bidirectional of these,"
            f" got {type(layer).__name__}"
        )
    if not isinstance(layer, Recurrent):
        return Explanation("keras", reason_against(layer) or NOT_YET)
    if own := _classes.own_loop(layer):
        return Explanation("its own", f"{own}: only a call shows what of it comes to lstmfast")
    prepared: Any = _paths.cells_for_core(layer, training)
    if x is not None and not isinstance(prepared, str):
        prepared = _of_call(layer, x, initial_state, mask, training)
    if isinstance(prepared, str):
        return Explanation("keras", prepared)
    how = f"{runtime.isa()}, up to {runtime.get_num_threads()} threads; Keras' backend is"
    return Explanation("lstmfast", f"{how} {keras.config.backend()}")


def _halves(state: Any) -> tuple[Any, Any]:
    if state is None:
        return None, None
    half = len(state) // 2
    return state[:half], state[half:]


def _of_call(layer: Any, x: Any, initial_state: Any, mask: Any, training: bool) -> Any:
    x = keras.ops.convert_to_tensor(x)
    if keras.backend.is_float_dtype(x.dtype) if hasattr(keras.backend, "is_float_dtype") else True:
        x = keras.ops.cast(x, layer.compute_dtype)
    if not layer.built:
        return _paths.cells_for_core(layer, training)
    if initial_state is None:
        rows = x.shape[0]
        initial_state = layer.states if layer.stateful else layer.get_initial_state(rows)
    to_tensor = lambda state: keras.ops.convert_to_tensor(state, layer.cell.compute_dtype)  # noqa: E731
    initial_state = keras.tree.map_structure(to_tensor, initial_state)
    _masks.checked(mask, x)
    return prepare(layer, x, initial_state, training)
