"""Exponentials and logarithms of basic operations are as good as NumPy's."""

from __future__ import annotations

import numpy as np

from lstmfast._fitting import exact


def test_exp() -> None:
    x = np.concatenate([np.linspace(-700, 700, 20_001), np.linspace(-1, 1, 20_001)])
    assert np.max(np.abs(exact.exp(x) - np.exp(x)) / np.spacing(np.exp(x))) <= 2


def test_exp_at_the_ends() -> None:
    x = np.array([0.0, -0.0, -745.1, -800.0, -1e300, -np.inf, np.nan])
    np.testing.assert_array_equal(exact.exp(x), [1, 1, 5e-324, 0, 0, 0, np.nan])


def test_log() -> None:
    x = np.concatenate([np.exp(np.linspace(-700, 700, 20_001)), np.linspace(0.5, 2, 20_001)])
    truth = np.log(x)
    assert np.max(np.abs(exact.log(x) - truth) / np.maximum(1, np.abs(truth))) < 3e-16
    assert exact.log(np.array([1.0]))[0] == 0


def test_softmax() -> None:
    z = np.array([[1e4, 0, -1e4], [2, 2, 2]], np.float32)
    p, log_p = exact.softmax(z)
    np.testing.assert_allclose(p, np.array([[1, 0, 0], [1 / 3] * 3]), rtol=1e-15)
    np.testing.assert_allclose(log_p, np.array([[0, -1e4, -2e4], [-float(np.log(3))] * 3]), rtol=1e-15)
