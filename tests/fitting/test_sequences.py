"""Batches by length: every sequence once, little padding, another order every time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lstmfast._fitting import Batch, Sequences

from ..helpers import Array, assert_same_bits
from .helpers import rows


def places(batches: Any, sequences: list[Array]) -> list[list[int]]:
    """Which sequences are in each batch, whose targets say; sees that they are there as they are."""
    found = []
    for batch in batches:
        assert isinstance(batch, Batch)
        lengths = np.full(batch.x.shape[1], len(batch.x)) if batch.lengths is None else batch.lengths
        for b, k in enumerate(batch.target):
            assert_same_bits(batch.x[: lengths[b], b], sequences[k])
            assert not batch.x[lengths[b] :, b].any()
        found.append(batch.target.tolist())
    return found


def test_every_sequence_once_with_little_padding() -> None:
    sequences = rows(500, 200)
    data = Sequences(sequences, np.arange(500))
    steps = sum(len(row) for row in sequences)
    generator = np.random.default_rng(0)
    epochs = [places(data.shuffled(16, generator), sequences) for _ in range(2)]
    epochs.append(places(data.in_order(16), sequences))
    for epoch in epochs:
        assert sorted(k for batch in epoch for k in batch) == list(range(500))
        assert {len(batch) for batch in epoch} <= {15, 16}
        taken = sum(len(batch) * max(len(sequences[k]) for k in batch) for batch in epoch)
        assert taken < 1.1 * steps  # as they came, it would be 1.8
    # Other ones go together each time, but for the shortest.
    one, other = ({frozenset(batch) for batch in epoch} for epoch in epochs[:2])
    assert len(one & other) < 0.2 * len(one)


def test_of_one_length_it_is_a_shuffle() -> None:
    data = Sequences(np.ones((40, 3, 1)), np.arange(40))
    one, two = (next(data.shuffled(40, np.random.default_rng(seed))).target.tolist() for seed in (0, 1))
    assert sorted(one) == sorted(two) == list(range(40))
    assert one != two
    assert next(iter(data.in_order(7))).lengths is None


def test_targets_of_each_step() -> None:
    sequences = rows(9)
    sequences = [row for row in sequences if len(row) > 2]
    targets = [np.arange(len(row)) + 100 * k for k, row in enumerate(sequences)]
    data = Sequences(
        sequences, targets, each_step=True, warm_up=2, weights=np.arange(1.0, len(sequences) + 1)
    )
    for batch in data.in_order(4):
        assert batch.weight is not None
        for b in range(batch.x.shape[1]):
            k = int(batch.target[0, b]) // 100
            scored = len(targets[k]) - 2
            np.testing.assert_array_equal(batch.target[:scored, b], targets[k][2:])
            np.testing.assert_array_equal(
                batch.weight[:, b], np.where(np.arange(len(batch.x) - 2) < scored, k + 1, 0)
            )


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"sequences": []}, ValueError, "sequences: expected at least one, got none"),
        ({"sequences": [np.ones(3)] * 2}, ValueError, r"sequences\[0\]: expected shape \[T, I\], got \(3,\)"),
        (
            {"sequences": [np.ones((3, 2)), np.ones((3, 1))]},
            ValueError,
            r"sequences\[1\]: expected shape \[T, 2\], got \(3, 1\)",
        ),
        (
            {"sequences": [np.ones((3, 2)), np.ones((0, 2))]},
            ValueError,
            r"sequences\[1\]: expected at least one step",
        ),
        (
            {"sequences": [np.ones((3, 2)), [[1, 2], [np.nan, 4]]]},
            ValueError,
            r"sequences\[1\]: expected finite numbers, got \[nan  4.\] at step 1",
        ),
        ({"targets": [1]}, ValueError, "targets: expected 2, one for each sequence, got 1"),
        ({"warm_up": 1}, ValueError, "warm_up: expected 0 where only last steps are scored, got 1"),
        ({"weights": np.ones(3)}, ValueError, r"weights: expected shape \(2,\), got \(3,\)"),
        (
            {"each_step": True, "targets": [np.ones(3), np.ones(2)]},
            ValueError,
            r"targets\[1\]: expected 3 steps, as the sequence has, got 2",
        ),
        (
            {"each_step": True, "targets": [np.ones(3), np.ones(3)], "warm_up": 3},
            ValueError,
            r"warm_up: expected less than the steps of the shortest sequence, 3 of sequences\[0\], got 3",
        ),
    ],
)
def test_what_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    given: dict[str, Any] = {"sequences": [np.ones((3, 2))] * 2, "targets": np.arange(2)} | change
    with pytest.raises(error, match=message):
        Sequences(**given)
