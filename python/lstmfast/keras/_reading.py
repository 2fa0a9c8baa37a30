"""What a cell of Keras' computes, in the core's words; or why the core has no such cell."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras

from .._base.kinds import BY_NAME, GRU, LSTM, RNN, Kind
from .._base.variants import Activation, Variant

# Kinds by Keras' classes of cells. Not by their subclasses, which may compute anything.
_KINDS: dict[type, Kind] = {
    keras.layers.LSTMCell: LSTM,
    keras.layers.GRUCell: GRU,
    keras.layers.SimpleRNNCell: RNN,
}


class Recurrence(NamedTuple):
    """One layer in one direction, but for its weights and the size of its input."""

    name: str  # of its kind
    cell: str  # the core's name of it
    variant: tuple[Any, ...] | None  # as the core takes it
    activations: tuple[Any, ...] | None  # as the constructors take them; None: the cell's own
    units: int  # H
    bias: bool

    @property
    def kind(self) -> Kind:
        """Of what kind it is."""
        return BY_NAME[self.name]

    @property
    def has_memory(self) -> bool:
        """Whether a state is a pair, h and c."""
        return self.kind.has_memory


# Keras' functions that are exactly one of the core's, with the numbers that Keras has for them.
_ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation("Tanh"),
    "sigmoid": Activation("Sigmoid"),
    "relu": Activation("Relu"),
    "linear": Activation("Affine", (1.0, 0.0)),
    "leaky_relu": Activation("LeakyRelu", (0.2,)),
    "hard_sigmoid": Activation("HardSigmoid", (1 / 6, 0.5)),
    "elu": Activation("Elu", (1.0,)),
    "softsign": Activation("Softsign"),
    "softplus": Activation("Softplus"),
}
_BY_FUNCTION: dict[Any, Activation] = {
    getattr(place, name): activation
    for place in (keras.activations, keras.ops)
    for name, activation in _ACTIVATIONS.items()
    if hasattr(place, name)
}


def activation_of(function: Any) -> Activation | None:
    """Find the core's function for one of Keras', or None."""
    try:
        return _BY_FUNCTION.get(function)
    except TypeError:  # it cannot be hashed, so it is none of Keras'
        return None


def cells_of(layer: Any) -> list[Any] | str:
    """Return the cells of a layer, the first one first, or why they are none that the core has."""
    cell = layer.cell
    if type(cell) is not keras.layers.StackedRNNCells:
        return [cell]
    if len(cell.cells) == 1:  # whose states Keras itself nests in one way and in another
        return "it is a stack of one cell"
    return list(cell.cells)


def read(cell: Any) -> Recurrence | str:
    """Read what a cell computes, or say why it is none of the core's."""
    kind = _KINDS.get(type(cell))
    if kind is None:
        return f"its cell is a {type(cell).__name__}, of which lstmfast knows nothing"
    if "call" in cell.__dict__:
        return "its cell has a call of its own, in place of its class's"
    if getattr(cell, "quantization_mode", None) is not None:
        return "its cell is quantized by Keras"
    functions = (cell.activation,) if kind is RNN else (cell.recurrent_activation, cell.activation)
    activations = []
    for function in functions:
        activation = activation_of(function)
        if activation is None:
            name = getattr(function, "__name__", None) or type(function).__name__
            return f"the core has no activation {name}"
        activations.append(activation)
    after = kind is not GRU or bool(cell.reset_after)
    key = (kind.name, tuple(activations), after, int(cell.units), bool(cell.use_bias))
    found = _KNOWN.get(key)
    if found is None:
        found = _KNOWN.setdefault(key, _recurrence(*key))
    return found


# Not by functools.cache, past which torch.compile looks, with a warning.
_KNOWN: dict[Any, Recurrence] = {}


def _recurrence(
    name: str, activations: tuple[Activation, ...], reset_after: bool, units: int, bias: bool
) -> Recurrence:
    kind = BY_NAME[name]
    if kind is LSTM:
        activations = (*activations, activations[1])  # c has the candidate's
    if kind is RNN and activations[0].name in ("Tanh", "Relu"):
        return Recurrence(name, f"rnn_{activations[0].name.lower()}", None, None, units, bias)
    usual = activations == tuple(map(Activation, kind.activations))
    variant = Variant(activations, usual, None, False, False, reset_after)
    if variant.plain:
        return Recurrence(name, kind.cells[0].name, None, None, units, bias)
    cell = kind.variant_cell(variant.coupled, reset_after)
    shown = None if usual else tuple(activation.shown() for activation in activations)
    return Recurrence(name, cell, variant.for_core(), shown, units, bias)
