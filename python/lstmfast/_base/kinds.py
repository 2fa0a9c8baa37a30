"""The kinds of recurrent layers: one entry each, and whoever has to know in what they differ asks here.

A new kind is one more `Kind` here, and classes (of weights as they are, and smaller) that `register` adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

_ClassT = TypeVar("_ClassT", bound=type[Any])


@dataclass(frozen=True)
class Cell:
    """What a step computes: an entry of `Cell` in the core's `types.h`."""

    name: str  # the core's, and the reference's
    mode: str | None = None  # what PyTorch calls it, `mode` of its modules; None: it has none
    choices: Mapping[str, str] = field(default_factory=dict)  # the options that choose it among its kind's


@dataclass(frozen=True)
class Kind:
    """All in which layers of one kind differ from those of another, but for the arithmetic."""

    name: str  # of its class, in files, and of PyTorch's class where it has one
    cells: tuple[Cell, ...]
    gates: int  # G
    kept_gates: int  # numbers that a tape keeps of a unit's gates at a step: of a GRU n, r, z and q
    states: tuple[str, ...]  # its parts, h first
    projects: bool  # whether there is proj_size
    defaults: Mapping[str, object]  # the constructor's, in its order, without seed and isa
    dtypes: tuple[str, ...] = ("float32", "float64")  # in which it computes, and that its files have
    smaller: tuple[str, ...] = ("float16", "bfloat16", "int8")  # to which its weights can be made
    activations: tuple[str, ...] = ()  # that its cells have: of the gates, of the candidate, of c
    variant: str = ""  # the core's cell of its variants (`variants`)
    coupled: str = ""  # likewise with f = 1 - i; nothing where there is none
    reset_before: str = ""  # likewise with r before the product; nothing where there is none
    normalises: bool = False  # whether it has gains and biases of layer normalisation
    options: tuple[str, ...] = ()  # that its configuration may have besides, where they are not as usual

    @property
    def has_memory(self) -> bool:
        """Whether a state is a pair, h and c, and not h alone."""
        return len(self.states) > 1

    @property
    def in_torch(self) -> bool:
        """Whether PyTorch has a class of it."""
        return all(cell.mode is not None for cell in self.cells)

    @cached_property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """The options that choose the cell, with all their values."""
        return {name: tuple(cell.choices[name] for cell in self.cells) for name in self.cells[0].choices}

    def variant_cell(self, coupled: bool, reset_after: bool) -> str:
        """Name the core's cell of a variant."""
        if coupled:
            return self.coupled
        return self.variant if reset_after else self.reset_before

    def cell(self, chosen: Mapping[str, str]) -> Cell:
        """Find the cell of these options."""
        (found,) = (cell for cell in self.cells if cell.choices == chosen)
        return found


LSTM = Kind(
    "LSTM",
    cells=(Cell("lstm", "LSTM"),),
    gates=4,
    kept_gates=4,
    states=("h", "c"),
    projects=True,
    defaults={
        "num_layers": 1,
        "bias": True,
        "batch_first": False,
        "dropout": 0.0,
        "bidirectional": False,
        "proj_size": 0,
        "dtype": "float32",
    },
    activations=("Sigmoid", "Tanh", "Tanh"),
    variant="lstm_variant",
    coupled="lstm_coupled",
    options=("peephole", "coupled", "clip", "activations", "direction", "zoneout", "recurrent_dropout"),
)
RNN = Kind(
    "RNN",
    cells=(
        Cell("rnn_tanh", "RNN_TANH", {"nonlinearity": "tanh"}),
        Cell("rnn_relu", "RNN_RELU", {"nonlinearity": "relu"}),
    ),
    gates=1,
    kept_gates=0,
    states=("h",),
    projects=False,
    defaults={
        "num_layers": 1,
        "nonlinearity": "tanh",
        "bias": True,
        "batch_first": False,
        "dropout": 0.0,
        "bidirectional": False,
        "dtype": "float32",
    },
    activations=("Tanh",),
    variant="rnn_variant",
    options=("clip", "activations", "direction", "zoneout", "recurrent_dropout"),
)
GRU = Kind(
    "GRU",
    cells=(Cell("gru", "GRU"),),
    gates=3,
    kept_gates=4,
    states=("h",),
    projects=False,
    defaults={
        "num_layers": 1,
        "bias": True,
        "batch_first": False,
        "dropout": 0.0,
        "bidirectional": False,
        "dtype": "float32",
    },
    activations=("Sigmoid", "Tanh"),
    variant="gru_variant",
    reset_before="gru_reset_before",
    options=("reset_after", "clip", "activations", "direction", "zoneout", "recurrent_dropout"),
)
LAYER_NORM_LSTM = Kind(
    "LayerNormLSTM",
    cells=(Cell("lstm_norm"),),
    gates=4,
    kept_gates=8,
    states=("h", "c"),
    projects=False,
    defaults={
        "num_layers": 1,
        "bias": True,
        "batch_first": False,
        "dropout": 0.0,
        "bidirectional": False,
        "dtype": "float32",
    },
    smaller=(),
    activations=("Sigmoid", "Tanh", "Tanh"),
    normalises=True,
    options=("direction", "zoneout", "recurrent_dropout"),
)
KINDS = (LSTM, RNN, GRU, LAYER_NORM_LSTM)

# The same by other names.
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}
BY_CELL: Mapping[str, Kind] = {cell.name: kind for kind in KINDS for cell in kind.cells}
CELLS_BY_MODE: Mapping[str, Cell] = {cell.mode: cell for kind in KINDS for cell in kind.cells if cell.mode}


# Classes. They stand above this module, and are found by name: that of the kind, with this before it where
# weights are smaller.
QUANTIZED = "Quantized"
_classes: dict[str, type[Any]] = {}


def register(cls: _ClassT) -> _ClassT:
    """Make a class known by its name, by which files name it and `class_named` finds it."""
    cls._NAME = cls.__name__
    _classes[cls.__name__] = cls
    return cls


def class_named(name: str) -> type[Any]:
    """Return the class that was registered under a name."""
    return _classes[name]


def class_names() -> tuple[str, ...]:
    """Name all classes that are registered."""
    return tuple(_classes)
