"""Windows of a series: which there are, what is in them, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lstmfast._fitting import Windows, horizons

from ..helpers import assert_same_bits

N = 20
SERIES = np.arange(2.0 * N).reshape(N, 2)


def test_horizons() -> None:
    ahead = horizons(SERIES, 3)
    assert ahead.shape == (N, 3, 2)
    for t in range(N):
        for h in range(3):
            later = SERIES[t + 1 + h] if t + 1 + h < N else np.full(2, np.nan)
            np.testing.assert_array_equal(ahead[t, h], later)
    assert np.shares_memory(ahead[0], ahead[1])  # it is one series, however many steps ahead


def test_every_window_once_in_any_order() -> None:
    data = Windows(SERIES, horizons(SERIES, 2), 5, warm_up=2)
    assert len(data) == N - 5 + 1
    seen = []
    for batch in data.shuffled(3, np.random.default_rng(0)):
        assert batch.x.shape[0] == 5
        assert batch.x.shape[1] <= 3
        for b in range(batch.x.shape[1]):
            first = int(batch.x[0, b, 0]) // 2
            seen.append(first)
            assert_same_bits(batch.x[:, b], SERIES[first : first + 5])
            ahead = horizons(SERIES, 2)[first + 2 : first + 5].reshape(3, 4)
            known = ~np.isnan(ahead)
            np.testing.assert_array_equal(batch.target[:, b], np.where(known, ahead, 0))
            if batch.weight is not None:
                np.testing.assert_array_equal(batch.weight[:, b], known)
            else:
                assert known.all()
    assert sorted(seen) == list(range(N - 4))
    assert seen != sorted(seen)
    in_order = [int(first) // 2 for batch in data.in_order(4) for first in batch.x[0, :, 0]]
    assert in_order == list(range(N - 4))


def test_inputs_outside_all_windows_may_be_anything() -> None:
    series = SERIES.copy()
    series[10] = np.nan
    starts = [s for s in range(N - 4) if not s <= 10 < s + 5]
    assert len(Windows(series, np.ones((N, 1)), 5, starts=starts)) == len(starts)
    with pytest.raises(
        ValueError, match=r"inputs: expected finite numbers in every window, got \[nan nan\] at step 10"
    ):
        Windows(series, np.ones((N, 1)), 5)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"inputs": np.ones(N)}, ValueError, r"inputs: expected shape \[N, I\], got \(20,\)"),
        ({"inputs": [["a"]]}, TypeError, "inputs: expected an array of real numbers"),
        (
            {"targets": np.ones((N - 1, 1))},
            ValueError,
            r"targets: expected shape \[N, K\] with N = 20 .*\(19, 1\)",
        ),
        ({"targets": np.full((N, 1), np.inf)}, ValueError, "targets: expected finite numbers, or NaN"),
        ({"targets": np.full((N, 1), np.nan)}, ValueError, "targets: expected a number in every window"),
        ({"length": 0}, ValueError, "length: expected an integer >= 1, got 0"),
        ({"length": N + 1}, ValueError, "length: expected an integer <= 20, got 21"),
        ({"warm_up": 5}, ValueError, "warm_up: expected an integer <= 4, got 5"),
        ({"starts": []}, TypeError, "starts: expected an array of integers"),
        ({"starts": np.zeros(0, int)}, ValueError, r"starts: expected shape \[W\] with at least one window"),
        ({"starts": [0, 16]}, ValueError, "starts: expected integers from 0 to 15, got 16"),
    ],
)
def test_what_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    given: dict[str, Any] = {"inputs": SERIES, "targets": np.ones((N, 1)), "length": 5} | change
    with pytest.raises(error, match=message):
        Windows(**given)
