"""Layers that bytes choose, and what the reference makes of a call."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import lstmfast

from .draw import Draw

# Arguments of constructors, in all kinds and options that there are; sizes are 2 and 3.
OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("LSTM", {}),
    ("LSTM", {"num_layers": 2, "bidirectional": True}),
    ("LSTM", {"bias": False, "batch_first": True}),
    ("LSTM", {"proj_size": 2, "num_layers": 2}),
    ("LSTM", {"peephole": True, "clip": 0.5}),
    ("LSTM", {"coupled": True, "peephole": True, "direction": "reverse"}),
    ("LSTM", {"activations": ("HardSigmoid", "Softsign", ("Elu", 0.5)), "zoneout": 0.25}),
    ("LSTM", {"num_layers": 2, "dropout": 0.5, "recurrent_dropout": 0.25}),
    ("GRU", {}),
    ("GRU", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
    ("GRU", {"reset_after": False}),
    ("GRU", {"clip": 1.0, "bias": False, "direction": "reverse"}),
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu", "num_layers": 2}),
    ("RNN", {"activations": ("Softplus",), "bidirectional": True}),
    ("LayerNormLSTM", {}),
    ("LayerNormLSTM", {"num_layers": 2, "bidirectional": True}),
)


@functools.cache
def made(place: int, dtype: str, isa: str) -> Any:
    """One layer of these; nobody changes it."""
    name, options = OPTIONS[place]
    return getattr(lstmfast, name)(2, 3, dtype=dtype, seed=place, isa=isa, **options)


def layer(draw: Draw, dtype: str | None = None) -> Any:
    dtype = dtype or draw.one_of(("float32", "float64"))
    return made(draw.below(len(OPTIONS)), dtype, draw.one_of(lstmfast.available_isas()))


@functools.cache
def reference_of(layer: Any) -> lstmfast.reference.Reference:
    """The reference in float64, with the layer's weights."""
    cell = layer._cell()
    plain = {"lstm_variant": "lstm", "lstm_coupled": "lstm", "rnn_variant": "rnn_tanh", "gru_variant": "gru"}
    given = tuple((a, ()) if isinstance(a, str) else (a[0], tuple(a[1:])) for a in layer.activations)
    return lstmfast.reference.Reference(
        plain.get(cell, cell),
        layer.parameters,
        layer.num_layers,
        layer.bidirectional,
        coupled=layer.coupled,
        clip=layer.clip,
        activations=given if cell in plain else None,
        reverse=layer.direction == "reverse",
        zoneout=layer.zoneout,
    )


def parts(state: Any) -> list[Any]:
    """The arrays of a state."""
    return list(state) if isinstance(state, tuple) else [state]


def same_bits(a: Any, b: Any) -> bool:
    """Of two arrays, or states."""
    return all(
        x.shape == y.shape and x.dtype == y.dtype and x.tobytes() == y.tobytes()
        for x, y in zip(parts(a), parts(b), strict=True)
    )


def close(a: Any, truth: Any, dtype: Any) -> bool:
    """Whether numbers are those of the reference, which is in float64."""
    bound = 1e-9 if np.dtype(dtype) == np.float64 else 2e-4
    largest = max(1.0, float(np.abs(truth).max())) if truth.size else 1.0
    return a.shape == truth.shape and bool((np.abs(a - truth) <= bound * largest).all())
