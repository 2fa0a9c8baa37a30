"""Steps that a mask skips, in the NumPy reference: by definition, finite differences, beside pieces."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from lstmfast.reference import Reference

from ..differences import central_differences
from .helpers import (
    KINDS,
    Array,
    assert_backward_changes_nothing,
    assert_close,
    draw,
    loss_of,
    make,
    run,
)

NETWORKS = [(*kind, *rest) for kind, *rest in itertools.product(KINDS, (1, 2), (False, True))]
every_network = pytest.mark.parametrize(("cell", "proj_size", "num_layers", "bidirectional"), NETWORKS)
every_kind = pytest.mark.parametrize(("cell", "proj_size"), KINDS)
T, B = 6, 5
LENGTHS = np.array([3, T, 1, 5, T])
# In the rows of LENGTHS: first and last skipped; here and there; the only one; several in a row; all.
MASK = np.array([
    [0, 1, 0, 1, 1, 0], [1, 0, 1, 1, 0, 1], [0, 1, 1, 1, 1, 1], [1, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0],
], bool).T  # fmt: skip
# At taken steps and at skipped ones, before the first and after the last of them.
RESET = np.array([
    [1, 0, 0, 1, 0, 0], [0, 1, 0, 1, 0, 1], [1, 0, 0, 0, 0, 0], [0, 0, 1, 1, 0, 1], [1, 0, 1, 0, 0, 1],
], bool).T  # fmt: skip


def draw_masks(network: Reference) -> Array:
    """Of dropout with p = 0.4."""
    shape = (network.num_layers - 1, T, B, network.num_directions * network.output_size)
    return np.where(np.random.default_rng(4).random(shape) < 0.4, 0.0, 1 / 0.6)


def by_hand(network: Reference, a: dict[str, Array], lengths: Any, reset: Any) -> dict[str, Array]:
    """y and final states: each row's taken steps are run as a row of their own."""
    P, D = network.output_size, network.num_directions
    results = {"y": np.zeros((T, B, D * P)), "h_n": a["h0"].copy()}
    if "c0" in a:
        results["c_n"] = a["c0"].copy()
    for b in range(B):
        steps = [t for t in range(lengths[b]) if MASK[t, b]]
        # A mark is one at the next step that is taken.
        marks = [any(reset[s : t + 1, b]) for s, t in zip([0, *(s + 1 for s in steps)], steps, strict=False)]
        row = slice(b, b + 1)
        y, (h_n, c_n), _ = network.forward(
            a["x"][steps, row], a["h0"][:, row], a["c0"][:, row] if "c0" in a else None,
            reset=np.array(marks, bool)[:, np.newaxis],
        )  # fmt: skip
        results["h_n"][:, row] = h_n
        if c_n is not None:
            results["c_n"][:, row] = c_n
        for t in range(lengths[b]):
            before = [k for k, s in enumerate(steps) if s <= t]
            after = [k for k, s in enumerate(steps) if s >= t]
            if before:
                results["y"][t, b, :P] = y[before[-1], 0, :P]
            if after and D == 2:
                results["y"][t, b, P:] = y[after[0], 0, P:]
    return results


@every_network
def test_taken_steps_are_a_row_of_their_own(
    cell: str, proj_size: int, num_layers: int, bidirectional: bool
) -> None:
    network = make(cell, num_layers, bidirectional, True, proj_size=proj_size)
    a = draw(network, T, B)
    for lengths, reset in itertools.product((None, LENGTHS), (None, RESET)):
        outputs, _ = run(network, a, lengths=lengths, reset=reset, mask=MASK)
        whole = [T] * B if lengths is None else lengths
        expected = by_hand(network, a, whole, np.zeros((T, B), bool) if reset is None else reset)
        assert_close((outputs, {}), (expected, {}))


@every_network
def test_without_a_skipped_step_it_is_what_pieces_give(
    cell: str, proj_size: int, num_layers: int, bidirectional: bool
) -> None:
    """Two ways to lengths, reset and masks that have nothing in common but single steps."""
    network = make(cell, num_layers, bidirectional, True, proj_size=proj_size)
    a, masks = draw(network, T, B), draw_masks(network)
    every = np.ones((T, B), bool)
    cuts: list[dict[str, Any]] = [{}, {"lengths": LENGTHS}, {"reset": RESET}]
    for parts in (*cuts, {"lengths": LENGTHS, "reset": RESET}):
        found = run(network, a, masks=masks, mask=every, **parts)
        assert_close(found, run(network, a, masks=masks, **parts))


@every_kind
def test_gradients_are_those_of_finite_differences(cell: str, proj_size: int) -> None:
    network = make(cell, 2, True, True, proj_size=proj_size)
    a = draw(network, T, B)
    parts = {"lengths": LENGTHS, "reset": RESET, "mask": MASK, "masks": draw_masks(network)}
    _, gradients = run(network, a, **parts)
    differentiated = {name: array for name, array in {**a, **network.parameters}.items() if name in gradients}
    assert set(differentiated) == set(gradients)
    for name, array in differentiated.items():
        found = central_differences(lambda: loss_of(network, a, **parts), array)
        np.testing.assert_allclose(gradients[name], found, rtol=0, atol=1e-9, err_msg=name)


@every_kind
def test_what_skipped_steps_hold_reaches_nothing(cell: str, proj_size: int) -> None:
    network = make(cell, 2, True, True, proj_size=proj_size)
    a = draw(network, T, B)
    expected = run(network, a, lengths=LENGTHS, reset=RESET, mask=MASK)
    taken = MASK & (np.arange(T)[:, np.newaxis] < LENGTHS)
    a["x"][~taken] = np.nan
    found = run(network, a, lengths=LENGTHS, reset=RESET, mask=MASK)
    for one, other in zip(found, expected, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in other)
    assert not found[1]["x"][~taken].any()


@every_kind
@pytest.mark.parametrize(("steps", "rows"), [(0, 2), (3, 0), (0, 0)])
def test_no_steps_and_no_rows(cell: str, proj_size: int, steps: int, rows: int) -> None:
    network = make(cell, 2, True, True, proj_size=proj_size)
    a = draw(network, steps, rows)
    outputs, gradients = run(network, a, mask=np.zeros((steps, rows), bool))
    assert outputs["y"].shape == a["dy"].shape
    assert np.array_equal(outputs["h_n"], a["h0"])
    assert gradients["x"].shape == a["x"].shape
    assert np.array_equal(gradients["h0"], a["dh_n"])


@every_kind
def test_float32_is_kept(cell: str, proj_size: int) -> None:
    network = make(cell, 2, True, True, "float32", proj_size=proj_size)
    for arrays in run(network, draw(network, T, B), lengths=LENGTHS, reset=RESET, mask=MASK):
        assert {array.dtype for array in arrays.values()} == {np.dtype("float32")}


@every_kind
def test_backward_leaves_cache_and_arguments_as_they_were(cell: str, proj_size: int) -> None:
    network = make(cell, 2, True, True, proj_size=proj_size)
    assert_backward_changes_nothing(network, draw(network, T, B), mask=MASK, masks=draw_masks(network))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((T, B)), "mask must be bools, got float64"),
        (np.ones((B, T), bool), "mask must have shape (6, 5), got (5, 6)"),
        (np.ones(T, bool), "mask must have shape (6, 5), got (6,)"),
    ],
)
def test_wrong_masks_are_refused(mask: Any, message: str) -> None:
    network = make("lstm", 1, False, True)
    with pytest.raises(ValueError, match="mask must") as caught:
        run(network, draw(network, T, B), mask=mask)
    assert str(caught.value) == message
