"""Variants of cells, in any combination, and the same in NumPy."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st

from lstmfast.reference import Reference

ACTIVATIONS: tuple[Any, ...] = (
    "Tanh",
    "Sigmoid",
    "Relu",
    ("Affine", 0.7, 0.2),
    ("LeakyRelu", 0.1),
    ("ThresholdedRelu", 0.3),
    ("ScaledTanh", 1.3, 0.6),
    ("HardSigmoid", 0.3, 0.4),
    ("Elu", 0.8),
    "Softsign",
    "Softplus",
)
CELLS = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn_tanh"}
TAKEN = {"LSTM": 3, "GRU": 2, "RNN": 1}


@st.composite
def options_of(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """Options of a variant, in any combination."""
    options: dict[str, Any] = {}
    if draw(st.booleans()):
        options["activations"] = [draw(st.sampled_from(ACTIVATIONS)) for _ in range(TAKEN[kind])]
    if draw(st.booleans()):
        options["clip"] = draw(st.sampled_from((0.2, 0.9, 3)))
    if kind == "LSTM":
        options["peephole"], options["coupled"] = draw(st.booleans()), draw(st.booleans())
        options["proj_size"] = draw(st.sampled_from((0, 0, 3)))
    if kind == "GRU":
        options["reset_after"] = draw(st.booleans())
    options["num_layers"] = draw(st.sampled_from((1, 2)))
    options["bias"] = draw(st.booleans())
    way = draw(st.sampled_from(("forward", "reverse", "both")))
    options["bidirectional"] = way == "both"
    options["direction"] = "forward" if way == "both" else way
    return options


def reference_of(model: Any) -> Reference:
    """The same network in NumPy."""
    name = type(model).__name__
    given = tuple((a, ()) if isinstance(a, str) else (a[0], tuple(a[1:])) for a in model.activations)
    return Reference(
        CELLS[name] if model.reset_after else "gru_reset_before",
        model.parameters,
        model.num_layers,
        model.bidirectional,
        coupled=model.coupled,
        clip=model.clip,
        activations=given,
        reverse=model.direction == "reverse",
    )
