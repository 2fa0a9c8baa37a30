"""Haiku's LSTM, GRU (r before the product, z the other way round) and VanillaRNN (relu)."""

from __future__ import annotations

from typing import Any

import pytest

from .helpers import B as ROWS
from .helpers import H, I, T, prove, randomised
from .jax_helpers import runner, shapes

jax = pytest.importorskip("jax")
hk = pytest.importorskip("haiku")

pytestmark = pytest.mark.usefixtures("x64")


def transformed(cell: str, **options: Any) -> Any:
    """Haiku's cell over time, and the weights it makes."""

    def unrolled(x: Any, state: tuple[Any, ...]) -> Any:
        first = [part[0] for part in state]
        begin = hk.LSTMState(*first) if cell == "LSTM" else first[0]
        y, end = hk.dynamic_unroll(getattr(hk, cell)(H, **options), x, begin)
        return y, tuple(part[None] for part in (end if cell == "LSTM" else (end,)))

    network = hk.without_apply_rng(hk.transform(unrolled))
    zeros = jax.numpy.zeros((1, ROWS, H))
    state = (zeros, zeros) if cell == "LSTM" else (zeros,)
    return network.apply, shapes(network.init(jax.random.key(0), jax.numpy.zeros((T, ROWS, I)), state))


def proof(kind: str, cell: str, options: dict[str, Any], **how: Any) -> None:
    apply, weights = transformed(cell, **options)
    (prefix,) = {name.partition("/")[0] for name in weights}
    prove(kind, "haiku", randomised(weights), runner(apply), prefix=f"{prefix}/", **how)


def test_lstm() -> None:
    proof("LSTM", "LSTM", {})


def test_gru() -> None:
    proof("GRU", "GRU", {})


def test_vanilla_rnn() -> None:
    proof("RNN", "VanillaRNN", {})


def test_vanilla_rnn_of_one_bias() -> None:
    """It is written with two, of which the second is 0."""
    proof("RNN", "VanillaRNN", {"double_bias": False}, back=False, gradients=False)
