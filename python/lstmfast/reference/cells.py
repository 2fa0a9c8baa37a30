"""Which layer functions a network's cell has, and how they are called: all alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from .gru import GRUCache, gru_layer_backward, gru_layer_forward
from .layer_norm import LayerNormCache, layer_norm_backward, layer_norm_forward
from .lstm import LSTMCache, lstm_layer_backward, lstm_layer_forward
from .products import Array
from .rnn import RNNCache, rnn_layer_backward, rnn_layer_forward
from .variants import (
    Variant,
    VariantCache,
    gru_variant_backward,
    gru_variant_forward,
    lstm_variant_backward,
    lstm_variant_forward,
    rnn_variant_backward,
    rnn_variant_forward,
)
from .zoneout import Zoneout

LayerCache: TypeAlias = LSTMCache | RNNCache | GRUCache | VariantCache | LayerNormCache

_GATES = {"lstm": 4, "rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "gru_reset_before": 3, "lstm_norm": 4}
CELLS = tuple(_GATES)
# F, G and K of `variants`.
_USUAL = {
    "lstm": (("Sigmoid", ()), ("Tanh", ()), ("Tanh", ())),
    "rnn_tanh": (("Tanh", ()),),
    "rnn_relu": (("Relu", ()),),
    "gru": (("Sigmoid", ()), ("Tanh", ())),
    "gru_reset_before": (("Sigmoid", ()), ("Tanh", ())),
}


class Cell(NamedTuple):
    """A cell of a network. variant: None for the plain one."""

    name: str
    variant: Variant | None

    @property
    def gates(self) -> int:
        """How many rows of H weight_ih has."""
        coupled = self.variant is not None and self.variant.coupled
        return _GATES[self.name] - (1 if coupled else 0)

    @property
    def has_memory(self) -> bool:
        """Whether there is a c beside h."""
        return self.name in ("lstm", "lstm_norm")

    def forward(
        self, x: Array, h0: Array, c0: Array, weights: Mapping[str, Array], zoneout: Zoneout
    ) -> tuple[Array, Array, LayerCache]:
        """Return outputs [T, B, P], c after the last step (c0 of cells without it), and the cache."""
        cache: LayerCache
        if self.name == "lstm_norm":
            out, cache = layer_norm_forward(x, h0, c0, weights, zoneout)
            return out, cache.c[-1], cache
        if self.name == "lstm":
            if self.variant is not None:
                out, cache = lstm_variant_forward(x, h0, c0, weights, self.variant, zoneout)
            else:
                out, cache = lstm_layer_forward(x, h0, c0, **weights)
            return out, cache.c[-1], cache
        if self.name.startswith("gru"):
            if self.variant is not None:
                out, cache = gru_variant_forward(x, h0, weights, self.variant, zoneout)
            else:
                out, cache = gru_layer_forward(x, h0, **weights, reset_after=self.name == "gru")
        elif self.variant is not None:
            out, cache = rnn_variant_forward(x, h0, weights, self.variant, zoneout)
        else:
            out, cache = rnn_layer_forward(x, h0, **weights, nonlinearity=self.name.removeprefix("rnn_"))
        return out, c0, cache

    def backward(
        self, cache: LayerCache, dy: Array, dh_n: Array, dc_n: Array, dc_y: Array | None
    ) -> tuple[Array, Array, Array, dict[str, Array]]:
        """dx, dh0, dc0 (dc_n of cells without c) and the gradients of the weights by their kinds."""
        if isinstance(cache, LayerNormCache):
            return layer_norm_backward(cache, dy, dh_n, dc_n, dc_y)
        if isinstance(cache, VariantCache):
            if self.name == "lstm":
                return lstm_variant_backward(cache, dy, dh_n, dc_n, dc_y)
            backward = gru_variant_backward if self.name.startswith("gru") else rnn_variant_backward
            dx, dh0, gradients = backward(cache, dy, dh_n)
            return dx, dh0, dc_n, gradients
        dweights: tuple[Array, ...]
        kinds: tuple[str, ...] = ("weight_ih", "weight_hh", "bias_ih", "weight_hr")
        dc0 = dc_n
        if isinstance(cache, LSTMCache):
            dx, dh0, dc0, dweights = lstm_layer_backward(cache, dy, dh_n, dc_n, dc_y)
        elif isinstance(cache, GRUCache):
            dx, dh0, dweights = gru_layer_backward(cache, dy, dh_n)
            kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        else:
            dx, dh0, dweights = rnn_layer_backward(cache, dy, dh_n)
        gradients = dict(zip(kinds, dweights, strict=False))  # no projection: the first three
        gradients.setdefault("bias_hh", gradients["bias_ih"].copy())
        return dx, dh0, dc0, gradients


def chosen(
    name: str,
    coupled: bool,
    peephole: bool,
    clip: float | None,
    activations: tuple[tuple[str, tuple[float, ...]], ...] | None,
    zoneout: float,
) -> Cell:
    """Find the cell of these options."""
    if name not in _GATES:
        raise ValueError(f"cell must be one of {', '.join(_GATES)}, got {name!r}")
    plain = not coupled and not peephole and clip is None and activations is None
    if plain and (zoneout == 0 or name == "lstm_norm"):
        return Cell(name, None)
    if name == "lstm_norm":
        raise ValueError("there are no variants of the LSTM with layer normalisation")
    if (coupled or peephole) and name != "lstm":
        raise ValueError(f"coupled gates and peepholes are an LSTM's, got {name!r}")
    usual = _USUAL[name]
    if activations is not None and len(activations) != len(usual):
        raise ValueError(f"activations must be {len(usual)}, got {len(activations)}")
    functions = usual if activations is None else activations
    return Cell(name, Variant(functions, clip, coupled, name != "gru_reset_before"))
