"""Masks: holes, rows of nothing, zeros or repeated outputs, and masks that are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from ..helpers import Array, random  # noqa: E402
from .helpers import (  # noqa: E402
    MASKS,
    SOME,
    B,
    I,
    T,
    arrays,
    assert_same,
    everything,
    pair,
    path_of,
    state_of,
)

X = random((B, T, I), seed=1)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(("case", "sequences"), [*((case, True) for case in SOME), ("gru", False)])
def test_every_mask(case: str, sequences: bool, mask: str) -> None:
    theirs, ours = pair(case, return_sequences=sequences, return_state=True)
    state = state_of(theirs)
    assert path_of(ours, X, mask=MASKS[mask]) == "lstmfast"
    call = {"mask": MASKS[mask]}
    assert_same(everything(ours, X, state, **call), everything(theirs, X, state, **call))


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(
    "options",
    [
        {"zero_output_for_mask": True, "return_sequences": True},
        {"zero_output_for_mask": True},
        {"go_backwards": True, "return_sequences": True},
        {"go_backwards": True, "zero_output_for_mask": True, "return_sequences": True},
    ],
)
def test_masks_with_options(options: dict[str, Any], mask: str) -> None:
    theirs, ours = pair("lstm", return_state=True, **options)
    call = {"mask": MASKS[mask]}
    assert_same(everything(ours, X, **call), everything(theirs, X, **call))


@pytest.mark.parametrize("mask", ["ends", "holes"])
def test_what_is_skipped_may_be_anything(mask: str) -> None:
    _, ours = pair("lstm", return_sequences=True, return_state=True)
    kept = MASKS[mask]
    bad = np.where(kept[..., np.newaxis], X, np.float32("nan"))
    given, expected = everything(ours, bad, mask=kept), everything(ours, X, mask=kept)
    for name, array in expected.items():
        if name == "gradient of x":
            array = np.where(kept[..., np.newaxis], array, 0)
        np.testing.assert_array_equal(given[name], array, err_msg=name)


def test_a_skipped_step_repeats_output_and_state() -> None:
    """In numbers of its own, not by what Keras gives: the row is the same without the step."""
    _, ours = pair("lstm", return_sequences=True, return_state=True)
    mask = np.ones((B, T), bool)
    mask[:, 2] = False
    y, h, c = arrays(ours(X, mask=mask))
    without = np.delete(X, 2, axis=1)
    y_of, h_of, c_of = arrays(ours(without))
    np.testing.assert_array_equal(y[:, 2], y[:, 1])
    np.testing.assert_array_equal(np.delete(y, 2, axis=1), y_of)
    np.testing.assert_array_equal(h, h_of)
    np.testing.assert_array_equal(c, c_of)


@pytest.mark.parametrize("dtype", ["int32", "float32", "uint8"])
def test_masks_of_numbers(dtype: str) -> None:
    _, ours = pair("gru", return_sequences=True)
    for mask in ("ends", "holes"):
        np.testing.assert_array_equal(
            arrays(ours(X, mask=MASKS[mask].astype(dtype))), arrays(ours(X, mask=MASKS[mask]))
        )


def test_a_mask_with_an_axis_more_as_keras_takes_it() -> None:
    _, ours = pair("gru", return_sequences=True)
    mask = MASKS["holes"]
    np.testing.assert_array_equal(arrays(ours(X, mask=mask[..., np.newaxis])), arrays(ours(X, mask=mask)))


@pytest.mark.parametrize(
    ("mask", "error", "words"),
    [
        (
            np.ones((B, T + 1), bool),
            ValueError,
            rf"mask: expected shape \[B, T\] = \({B}, {T}\), got \(4, 7\)",
        ),
        (np.ones((B, T - 1), bool), ValueError, r"mask: expected shape .* got \(4, 5\)"),
        (np.ones((B + 1, T), bool), ValueError, r"mask: expected shape .* got \(5, 6\)"),
        (np.ones(T, bool), ValueError, r"mask: expected shape .* got \(6,\)"),
        (np.ones((B, T, 2), bool), ValueError, r"mask: expected shape .* got \(4, 6, 2\)"),
        (np.ones((B, T), complex), TypeError, "mask: expected bools .* complex"),
    ],
)
def test_what_is_no_mask(mask: Array, error: type[Exception], words: str) -> None:
    _, ours = pair("lstm")
    with pytest.raises(error, match=words):
        ours(X, mask=mask)


def test_a_mask_that_an_embedding_makes() -> None:
    ids = np.array([[3, 1, 2, 0, 0], [1, 0, 2, 3, 0], [0, 0, 0, 0, 0]])
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(5, I, mask_zero=True),
            keras.layers.LSTM(4, return_sequences=True),
            keras.layers.GRU(3),
        ]
    )
    expected = model.predict(ids, verbose=0)
    import lstmfast.keras

    given = lstmfast.keras.accelerate(model).predict(ids, verbose=0)
    np.testing.assert_allclose(given, expected, atol=1e-6)
    assert np.abs(np.diff(given, axis=0)).max() > 1e-3
