"""The vanilla RNN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .._base import kinds, variants
from .._base.checks import Array
from .._base.layer import Layer
from .._base.states import LoneState
from .._base.variants import ActivationLike
from .recurrent import Recurrent


class Nonlinear(Layer):
    """Layers with a choice of what is applied to each sum."""

    _nonlinearity: str

    def _read_variant(self, config: Mapping[str, Any], dtype: np.dtype[Any]) -> variants.Variant:
        own = ("Relu" if self._nonlinearity == "relu" else "Tanh",)
        variant = variants.read(config, own, dtype)
        if not variant.usual and self._nonlinearity != "tanh":
            raise ValueError(
                f"nonlinearity: expected 'tanh' where activations say otherwise, got {self._nonlinearity!r}"
            )
        return variant

    @property
    def nonlinearity(self) -> str:
        """What is applied to each sum, "tanh" or "relu"."""
        return self._nonlinearity


@kinds.register
class RNN(LoneState, Nonlinear, Recurrent[Array, ArrayLike]):
    """The vanilla recurrent network, with the names, shapes and meaning of `torch.nn.RNN`.

    For every time step, with x the step's input and h the state::

        h' = tanh(W_ih x + b_ih + W_hh h + b_hh)        or max(0, ...) with nonlinearity "relu"

    It is here because the LSTM is the answer to its vanishing and exploding gradients, which
    `lstmfast.gradient_flow` shows for any model of both kinds.

    Parameters
    ----------
    nonlinearity
        "tanh" or "relu".
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype, seed, init, isa
        As for `LSTM`.
    clip, activations, direction, zoneout, recurrent_dropout
        As for `LSTM`, with one activation, in whose place nonlinearity must be "tanh".

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `LSTM`.

    Notes
    -----
    Calls: `y, h_n = rnn(x, h_0)`, and `forward` and `backward` to train. Everything said of `LSTM` holds,
    `lengths`, `reset` and `mask` included, but that there is no projection and that a state is one array,
    [L*D, B, H] or unbatched [L*D, H].

    Source: J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990) 179-211.

    Examples
    --------
    >>> rnn = RNN(3, 5, seed=0)
    >>> y, h_n = rnn(np.zeros((7, 2, 3), np.float32))
    >>> y.shape, h_n.shape
    ((7, 2, 5), (1, 2, 5))
    """

    _KIND = kinds.RNN

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        clip: float | None = None,
        activations: Sequence[ActivationLike] | None = None,
        direction: str = "forward",
        zoneout: float = 0.0,
        recurrent_dropout: float = 0.0,
        dtype: DTypeLike = "float32",
        seed: int | np.random.Generator | None = None,
        init: str = "uniform",
        isa: str | None = None,
    ) -> None:
        config = {
            "input_size": input_size,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "nonlinearity": nonlinearity,
            "bias": bias,
            "batch_first": batch_first,
            "dropout": dropout,
            "bidirectional": bidirectional,
            "dtype": dtype,
            "clip": clip,
            "activations": activations,
            "direction": direction,
            "zoneout": zoneout,
            "recurrent_dropout": recurrent_dropout,
        }
        self._configure(config, isa)
        self._initialise(seed, init)
