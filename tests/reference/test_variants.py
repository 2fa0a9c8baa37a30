"""The reference's variants of cells: gradients by finite differences, and what they are without change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lstmfast.reference import Reference
from lstmfast.reference.variants import FUNCTIONS

from ..differences import central_differences
from .helpers import GATES, INPUT, H, draw, loss_of, run

NUMBERS = {"Affine": (0.7, 0.2), "LeakyRelu": (0.1,), "ThresholdedRelu": (0.3,), "ScaledTanh": (1.3, 0.6)}
NUMBERS |= {"HardSigmoid": (0.3, 0.4), "Elu": (0.8,)}


def norms(cell: str, layer: int, rng: np.random.Generator) -> dict[str, Any]:
    """What an LSTM with layer normalisation has besides."""
    widths = {"gain_ih": 4 * H, "gain_hh": 4 * H, "gain_c": H, "bias_c": H} if cell == "lstm_norm" else {}
    return {f"{name}_l{layer}": rng.uniform(0.5, 1.5, width) for name, width in widths.items()}


def variant(cell: str, *, seed: int = 0, peephole: bool = False, **options: Any) -> Reference:
    """A network of two layers."""
    rng = np.random.default_rng(seed)
    coupled = options.get("coupled", False)
    G = (GATES[cell] - (1 if coupled else 0)) * H
    parameters = {}
    for layer in (0, 1):
        parameters[f"weight_ih_l{layer}"] = rng.uniform(-0.7, 0.7, (G, H if layer else INPUT))
        parameters[f"weight_hh_l{layer}"] = rng.uniform(-0.7, 0.7, (G, H))
        parameters[f"bias_ih_l{layer}"] = rng.uniform(-0.7, 0.7, G)
        parameters[f"bias_hh_l{layer}"] = rng.uniform(-0.7, 0.7, G)
        parameters |= norms(cell, layer, rng)
        if peephole:
            parameters[f"weight_ch_l{layer}"] = rng.uniform(-0.7, 0.7, (G // H - 1, H))
    return Reference(cell, parameters, 2, **options)


CASES: list[tuple[str, dict[str, Any]]] = [
    ("lstm", {"peephole": True}),
    ("lstm", {"coupled": True}),
    ("lstm", {"coupled": True, "peephole": True, "clip": 0.6}),
    ("lstm_norm", {}),
    ("lstm_norm", {"reverse": True}),
    ("gru", {"clip": 0.6}),
    ("gru_reset_before", {"clip": 0.6}),
    ("rnn_tanh", {"clip": 0.6, "reverse": True}),
    *(("rnn_tanh", {"activations": ((name, NUMBERS.get(name, ())),)}) for name in FUNCTIONS),
    *(
        ("lstm", {"peephole": True, "activations": tuple((name, NUMBERS.get(name, ())) for name in names)})
        for names in (("Sigmoid", "Softplus", "Elu"), ("HardSigmoid", "ScaledTanh", "Softsign"))
    ),
    ("gru", {"activations": (("HardSigmoid", (0.3, 0.4)), ("Elu", (0.8,)))}),
]


@pytest.mark.parametrize(("cell", "options"), CASES)
def test_every_gradient_is_that_of_finite_differences(cell: str, options: dict[str, Any]) -> None:
    network = variant(cell, seed=4, **options)  # no sum is at a corner with this seed
    a = draw(network, 5, 3)
    _, gradients = run(network, a)
    inputs = {name: a[name] for name in ("x", "h0", "c0") if name in a} | network.parameters
    assert set(gradients) == set(inputs)
    for name, at in inputs.items():
        expected = central_differences(lambda: loss_of(network, a), at)
        np.testing.assert_allclose(gradients[name], expected, rtol=0, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_before", "rnn_tanh"])
def test_a_clip_that_cuts_nothing_off_is_the_plain_cell(cell: str) -> None:
    plain = variant(cell)
    wide = Reference(cell, plain.parameters, 2, clip=1e30)
    a = draw(plain, 5, 3)
    for ours, theirs in zip(run(wide, a), run(plain, a), strict=True):
        for name, value in theirs.items():
            np.testing.assert_allclose(ours[name], value, rtol=1e-13, atol=1e-13, err_msg=name)


def test_reverse_is_forward_on_what_is_reversed() -> None:
    forward = variant("lstm")
    reverse = Reference("lstm", forward.parameters, 2, reverse=True)
    a = draw(forward, 5, 3)
    y, ends, _ = forward.forward(a["x"][::-1], a["h0"], a["c0"])
    back, back_ends, _ = reverse.forward(a["x"], a["h0"], a["c0"])
    np.testing.assert_array_equal(back, y[::-1])
    np.testing.assert_array_equal(back_ends, ends)


@pytest.mark.parametrize(
    ("cell", "options", "message"),
    [
        ("gru", {"coupled": True}, "are an LSTM's, got 'gru'"),
        ("lstm_norm", {"clip": 1.0}, "no variants"),
        ("rnn_tanh", {"activations": ()}, "activations must be 1, got 0"),
    ],
)
def test_what_a_cell_does_not_have(cell: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        variant(cell, **options)
