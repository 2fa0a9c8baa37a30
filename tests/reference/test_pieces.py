"""Lengths, reset and masks in the NumPy reference: by PyTorch, by the definition, by finite differences."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lstmfast.reference import Reference

from ..differences import central_differences
from .helpers import (
    INPUT,
    KINDS,
    MEMORY,
    PROJECTED,
    TORCH_KINDS,
    Array,
    assert_backward_changes_nothing,
    assert_close,
    draw,
    loss_of,
    make,
    run,
    torch_inputs,
    torch_model,
    torch_results,
    torch_state,
)

Counts = NDArray[np.integer[Any]]
NETWORKS = [(*kind, *rest) for kind, *rest in itertools.product(KINDS, (1, 2), (False, True))]
every_network = pytest.mark.parametrize(("cell", "proj_size", "num_layers", "bidirectional"), NETWORKS)
every_network_of_torch = pytest.mark.parametrize(
    ("cell", "proj_size", "num_layers", "bidirectional"), [n for n in NETWORKS if n[:2] in TORCH_KINDS]
)
every_kind = pytest.mark.parametrize(("cell", "proj_size"), KINDS)
T, B = 6, 5
LENGTHS = np.array([3, T, 1, 5, 1])
# In the rows of LENGTHS: only past the end; a first and a last piece of one step; at the end of a row of one
# step; only where the row starts; at every step. The last row of all also after its end.
RESET = np.zeros((T, B), bool)
RESET[[3, 4], 0] = RESET[[1, 3, 5], 1] = RESET[1, 2] = RESET[0, 3] = RESET[:, 4] = True


def draw_masks(network: Reference, rows: int = B, seed: int = 4) -> Array:
    """Of dropout with p = 0.4."""
    shape = (network.num_layers - 1, T, rows, network.num_directions * network.output_size)
    return np.where(np.random.default_rng(seed).random(shape) < 0.4, 0.0, 1 / 0.6)


def past_the_end(lengths: Counts) -> NDArray[np.bool_]:
    """[T, B]: where rows have ended."""
    return np.arange(T)[:, np.newaxis] >= lengths


@every_network_of_torch
def test_lengths_are_those_of_packed_sequences(
    cell: str, proj_size: int, num_layers: int, bidirectional: bool, torch: Any
) -> None:
    network = make(cell, num_layers, bidirectional, True, proj_size=proj_size)
    a = draw(network, T, B)
    model, t = torch_model(network), torch_inputs(a)
    packed = torch.nn.utils.rnn.pack_padded_sequence(t["x"], torch.from_numpy(LENGTHS), enforce_sorted=False)
    packed_y, state = model(packed, torch_state(t))
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(packed_y, total_length=T)
    theirs = torch_results(t, y, state, dict(model.named_parameters()))

    a["x"][past_the_end(LENGTHS)] = a["dy"][past_the_end(LENGTHS)] = np.nan  # not read
    assert_close(run(network, a, lengths=LENGTHS), theirs)


def pieces_by_hand(
    model: Any, t: dict[str, Any], lengths: Counts, reset: NDArray[np.bool_], directions: int
) -> tuple[Any, Any]:
    """y and the final state, each piece of each row run through PyTorch's module as a batch of one row."""
    import torch

    names = [name for name in ("h0", "c0") if name in t]
    y_of_rows, state_of_rows = [], []
    for row, length in enumerate(lengths):
        initial = [t[name][:, row : row + 1] for name in names]
        final = [list(part) for part in initial]  # [layer and direction], which pieces then replace
        y_of_pieces = []
        starts = [step for step in range(length) if step == 0 or reset[step, row]]
        for start, stop in itertools.pairwise([*starts, length]):
            begin = [torch.zeros_like(part) for part in initial]
            for k in range(len(initial[0])):
                if stop == length if k % directions else start == 0 and not reset[0, row]:
                    for whole, part in zip(begin, initial, strict=True):
                        whole[k] = part[k]
            begin_of_piece = dict(zip(names, begin, strict=True))
            y, end = model(t["x"][start:stop, row : row + 1], torch_state(begin_of_piece))
            y_of_pieces.append(y)
            for part, of_piece in zip(final, end if len(names) == 2 else [end], strict=True):
                for k, value in enumerate(of_piece):
                    if start == 0 if k % directions else stop == length:
                        part[k] = value
        zeros = torch.zeros((len(reset) - length, 1, t["dy"].shape[2]), dtype=torch.float64)
        y_of_rows.append(torch.cat([*y_of_pieces, zeros]))
        state_of_rows.append([torch.stack(part) for part in final])
    state = tuple(torch.cat(parts, dim=1) for parts in zip(*state_of_rows, strict=True))
    return torch.cat(y_of_rows, dim=1), state


@pytest.mark.parametrize("lengths", [None, LENGTHS, np.array([3, 0, 1, 5, 0])], ids=["whole", "some", "none"])
@every_network_of_torch
@pytest.mark.usefixtures("torch")
def test_reset_is_pieces_one_by_one(
    cell: str, proj_size: int, num_layers: int, bidirectional: bool, lengths: Counts | None
) -> None:
    network = make(cell, num_layers, bidirectional, True, proj_size=proj_size)
    a = draw(network, T, B)
    model, t = torch_model(network), torch_inputs(a)
    known = np.full(B, T) if lengths is None else lengths
    y, state = pieces_by_hand(model, t, known, RESET, network.num_directions)
    theirs = torch_results(t, y, state, dict(model.named_parameters()))
    assert_close(run(network, a, lengths=lengths, reset=RESET), theirs)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("cell", "proj_size"), TORCH_KINDS)
def test_masks_are_between_layers(cell: str, proj_size: int, bidirectional: bool, torch: Any) -> None:
    network = make(cell, 2, bidirectional, True, proj_size=proj_size)
    D, a, masks = network.num_directions, draw(network, T, B), draw_masks(network)
    t = torch_inputs(a)
    h, ends = t["x"], []
    parameters: dict[str, Any] = {}
    for layer in range(2):
        of_layer = {name: value for name, value in network.parameters.items() if f"_l{layer}" in name}
        renamed = {name.replace(f"_l{layer}", "_l0"): value for name, value in of_layer.items()}
        model = torch_model(Reference(cell, renamed, 1, bidirectional))
        initial = {name: value[layer * D : (layer + 1) * D] for name, value in t.items() if "0" in name}
        h, end = model(h if layer == 0 else h * torch.from_numpy(masks[0]), torch_state(initial))
        ends.append(end if isinstance(end, tuple) else (end,))
        parameters |= {n.replace("_l0", f"_l{layer}"): value for n, value in model.named_parameters()}
    state = tuple(torch.cat(of_layers) for of_layers in zip(*ends, strict=True))
    theirs = torch_results(t, h, state, parameters)
    assert_close(run(network, a, masks=masks), theirs)


@every_kind
def test_gradients_of_everything_at_once_are_those_of_finite_differences(cell: str, proj_size: int) -> None:
    network = make(cell, 2, True, True, proj_size=proj_size)
    rows = [1, 3, 2]  # three pieces in four steps; the initial state ignored; none at all
    a = draw(network, 4, len(rows))
    parts = {"lengths": [4, 2, 0], "reset": RESET[:4, rows], "masks": draw_masks(network)[:, :4, rows]}
    _, gradients = run(network, a, **parts)
    inputs = {name: a[name] for name in ("x", "h0", "c0") if name in a} | network.parameters
    assert set(gradients) == set(inputs)
    for name, at in inputs.items():
        expected = central_differences(lambda: loss_of(network, a, **parts), at)
        np.testing.assert_allclose(gradients[name], expected, rtol=0, atol=1e-9, err_msg=name)


@every_kind
def test_row_without_steps_keeps_its_state_and_acts_on_nothing(cell: str, proj_size: int) -> None:
    network = make(cell, 2, True, True, proj_size=proj_size)
    a = draw(network, T, B)
    lengths = np.array([4, 0, T, 1, 0])
    outputs, gradients = run(network, a, lengths=lengths, reset=RESET)  # marked at step 0 also: past the end
    empty, others = [1, 4], [0, 2, 3]
    for name in ("h", "c") if cell in MEMORY else ("h",):
        np.testing.assert_array_equal(outputs[f"{name}_n"][:, empty], a[f"{name}0"][:, empty])
        np.testing.assert_array_equal(gradients[f"{name}0"][:, empty], a[f"d{name}_n"][:, empty])
    assert not np.any(outputs["y"][:, empty])
    assert not np.any(gradients["x"][:, empty])

    a = {name: value[:, others] for name, value in a.items()}
    without = run(network, a, lengths=lengths[others], reset=RESET[:, others])
    for all_rows, some_rows in zip((outputs, gradients), without, strict=True):
        for name, value in some_rows.items():
            expected = all_rows[name] if name in network.parameters else all_rows[name][:, others]
            np.testing.assert_array_equal(value, expected, err_msg=name)


@every_kind
def test_nothing_crosses_a_cut(cell: str, proj_size: int) -> None:
    """Inputs and initial state before it may even be NaN."""
    network = make(cell, 2, False, True, proj_size=proj_size)
    a = draw(network, T, 1)
    reset = np.zeros((T, 1), bool)
    reset[2] = True
    a["dy"][:2] = 0
    outputs, gradients = run(network, a, reset=reset)
    assert np.all(np.any(gradients["x"][2:], axis=2))
    for name in ("x", "h0", "c0") if cell in MEMORY else ("x", "h0"):
        assert not np.any(gradients[name][:2]), name
        a[name][:2] = np.nan
    spoilt, _ = run(network, a, reset=reset)
    assert np.all(np.isnan(spoilt["y"][:2]))
    np.testing.assert_array_equal(spoilt["y"][2:], outputs["y"][2:])
    np.testing.assert_array_equal(spoilt["h_n"], outputs["h_n"])


@every_network
def test_whole_rows_without_marks_are_a_plain_call(
    cell: str, proj_size: int, num_layers: int, bidirectional: bool
) -> None:
    network = make(cell, num_layers, bidirectional, False, proj_size=proj_size)
    a, masks = draw(network, T, B), draw_masks(network)
    plain = run(network, a, masks=masks)
    assert_close(run(network, a, masks=masks, lengths=[T] * B), plain)
    assert_close(run(network, a, masks=masks, reset=np.zeros((T, B), bool)), plain)
    assert_close(
        run(network, a, masks=masks, lengths=np.full(B, T, np.uint8), reset=[[False] * B] * T), plain
    )


@pytest.mark.parametrize(("steps", "rows"), [(0, B), (T, 0), (0, 0)])
@every_kind
def test_no_steps_and_no_rows(cell: str, proj_size: int, steps: int, rows: int) -> None:
    network = make(cell, 2, True, True, proj_size=proj_size)
    a = draw(network, steps, rows)
    parts = {"lengths": np.full(rows, steps), "reset": np.ones((steps, rows), bool)}
    plain = run(network, a)
    for ours, theirs in zip(run(network, a, **parts), plain, strict=True):
        for name, value in theirs.items():
            np.testing.assert_array_equal(ours[name], value, err_msg=name)  # shapes as well


@every_kind
def test_float32_is_kept(cell: str, proj_size: int) -> None:
    network = make(cell, 2, True, True, "float32", proj_size=proj_size)
    parts = {"lengths": LENGTHS, "reset": RESET, "masks": draw_masks(network)}
    outputs, gradients = run(network, draw(network, T, B), **parts)
    assert {value.dtype.name for value in (outputs | gradients).values()} == {"float32"}


@every_kind
def test_backward_leaves_cache_and_arguments_as_they_were(cell: str, proj_size: int) -> None:
    network = make(cell, 2, True, True, proj_size=proj_size)
    a = draw(network, T, B) | {"masks": draw_masks(network)}
    assert_backward_changes_nothing(network, a, lengths=LENGTHS, reset=RESET, masks=a["masks"])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"lengths": [1.0, 2.0, 3.0]}, r"lengths must be integers, got float64"),
        ({"lengths": [True, True, False]}, r"lengths must be integers, got bool"),
        ({"lengths": 3}, r"lengths must have shape \(3,\), got \(\)"),
        ({"lengths": [3]}, r"lengths must have shape \(3,\), got \(1,\)"),
        ({"lengths": [3, -1, 0]}, r"lengths must be from 0 to 6, got -1"),
        ({"lengths": [3, 6, 7]}, r"lengths must be from 0 to 6, got 7"),
        ({"reset": np.zeros((6, 3), np.int64)}, r"reset must be bools, got int64"),
        ({"reset": np.zeros((3, 6), bool)}, r"reset must have shape \(6, 3\), got \(3, 6\)"),
        ({"reset": np.zeros(6, bool)}, r"reset must have shape \(6, 3\), got \(6,\)"),
        ({"masks": np.ones((6, 3, 6))}, r"masks must have shape \(1, 6, 3, 6\), got \(6, 3, 6\)"),
        ({"masks": np.ones((1, 6, 3, 8))}, r"masks must have shape \(1, 6, 3, 6\), got \(1, 6, 3, 8\)"),
    ],
)
def test_wrong_parts_are_refused(parts: dict[str, Any], message: str) -> None:
    network = make("lstm", 2, True, True, proj_size=PROJECTED)
    with pytest.raises(ValueError, match=message):
        network.forward(np.zeros((T, 3, INPUT)), **parts)


def test_gradients_of_pieces_have_the_shapes_of_the_call() -> None:
    network = make("lstm", 1, False, True, proj_size=PROJECTED)
    _, _, cache = network.forward(np.zeros((T, 3, INPUT)), lengths=[1, 2, 3])
    with pytest.raises(ValueError, match=r"dy must have shape \(6, 3, 3\), got \(3, 3, 3\)"):
        network.backward(cache, np.zeros((3, 3, PROJECTED)))
    with pytest.raises(ValueError, match=r"dc_n must have shape \(1, 3, 4\), got \(1, 3, 3\)"):
        network.backward(cache, None, None, np.zeros((1, 3, PROJECTED)))
