"""Clipping by global norm: the one of Pascanu et al., for gradients of any size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lstmfast.training import clip_global_norm

# NumPy computes what is compared, and does so in the environment of the process.
pytestmark = pytest.mark.usefixtures("default_floats")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("max_norm", [1e-3, 2.0, 1e6, math.inf])
def test_clipping_is_that_of_torch(max_norm: float, dtype: str, torch: Any) -> None:
    rng = np.random.default_rng(0)
    first = {"a": rng.standard_normal((3, 4)).astype(dtype), "b": rng.standard_normal(5).astype(dtype)}
    second = {"a": rng.standard_normal((2, 2)).astype(dtype)}
    theirs = [torch.zeros(g.shape, dtype=getattr(torch, dtype)) for g in (*first.values(), *second.values())]
    for w, g in zip(theirs, (*first.values(), *second.values()), strict=True):
        w.grad = torch.from_numpy(g.copy())
    their_norm = torch.nn.utils.clip_grad_norm_(theirs, max_norm).item()

    before = {name: g.copy() for name, g in first.items()}
    (one, two), norm = clip_global_norm(first, second, max_norm=max_norm)
    rtol = 1e-13 if dtype == "float64" else 1e-6
    assert norm == pytest.approx(their_norm, rel=rtol, abs=0)
    # PyTorch divides by norm + 1e-6 so as not to divide by 0; we divide by the norm.
    exact = (norm + 1e-6) / norm if norm > max_norm else 1.0
    for g, w in zip((*one.values(), *two.values()), theirs, strict=True):
        assert g.dtype == dtype
        np.testing.assert_allclose(g, w.grad.numpy() * exact, rtol=rtol)
    assert (list(one), list(two)) == (["a", "b"], ["a"])
    for name, g in before.items():
        np.testing.assert_array_equal(first[name], g)


def test_clipped_norm_is_exactly_the_limit() -> None:
    (clipped,), norm = clip_global_norm({"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])}, max_norm=2)
    assert norm == 5
    np.testing.assert_allclose(clipped["a"], [1.2, 0], rtol=1e-15)
    np.testing.assert_allclose(clipped["b"], [[1.6]], rtol=1e-15)


def test_norm_of_float32_gradients_is_that_of_float64() -> None:
    gradient = np.random.default_rng(1).standard_normal(1000).astype(np.float32)
    _, norm = clip_global_norm({"a": gradient}, max_norm=1.0)
    exact = math.sqrt(math.fsum(float(g) ** 2 for g in gradient))
    assert norm == pytest.approx(exact, rel=1e-14, abs=0)


def test_what_is_within_the_limit_passes_as_it_is() -> None:
    gradients = {"a": np.array([3.0]), "b": np.array([4.0], np.float32)}
    (passed,), norm = clip_global_norm(gradients, max_norm=5.0)
    assert norm == 5
    assert passed["a"] is gradients["a"]
    assert passed["b"] is gradients["b"]
    nothings: list[dict[str, NDArray[Any]]] = [{}, {"a": np.zeros(3)}, {"a": np.zeros((0, 2))}]
    for nothing in nothings:
        (passed,), norm = clip_global_norm(nothing, max_norm=5.0)
        assert norm == 0
        assert list(passed) == list(nothing)


@pytest.mark.parametrize(
    ("dtype", "size"), [("float32", 1e38), ("float32", 1e-44), ("float64", 1e300), ("float64", 1e-300)]
)
def test_norm_where_squares_overflow_or_vanish(dtype: str, size: float) -> None:
    gradient = np.full(4, size, dtype)
    (clipped,), norm = clip_global_norm({"a": gradient}, max_norm=size / 1000)
    assert norm == pytest.approx(2 * float(gradient[0]), rel=1e-14, abs=0)
    expected = size / 2000 if dtype == "float64" or size > 1 else 0  # 1e-47 is no float32
    np.testing.assert_allclose(clipped["a"], expected, rtol=1e-6)
    # So it is where the norm itself is too large for a float.
    huge = np.full(4, np.finfo(np.float64).max)
    (clipped,), norm = clip_global_norm({"a": huge}, max_norm=2.0)
    assert norm == math.inf
    np.testing.assert_allclose(clipped["a"], 1.0, rtol=1e-15)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_clipping_refuses_gradients_that_are_not_finite(bad: float) -> None:
    gradients: dict[str, NDArray[Any]] = {"a": np.ones(2), "b": np.array([[1, bad, bad]], np.float32)}
    with pytest.raises(
        ValueError,
        match=r"gradients\[1\]\['b'\]: expected finite numbers, got NaN or infinity in 2 of 3 places",
    ):
        clip_global_norm({"a": np.ones(2)}, gradients, max_norm=1.0)


@pytest.mark.parametrize(
    ("gradients", "max_norm", "error", "message"),
    [
        (({"a": [1.0]},), 0, ValueError, "max_norm: expected a number above 0, got 0"),
        (({"a": [1.0]},), -1.0, ValueError, "max_norm: expected a number above 0, got -1"),
        (({"a": [1.0]},), np.nan, ValueError, "max_norm: expected a number, got NaN"),
        (({"a": [1.0]},), "1", TypeError, "max_norm: expected a number, got '1'"),
        ((), 1.0, TypeError, "gradients: expected at least one mapping"),
        (([1.0],), 1.0, TypeError, r"gradients\[0\]: expected a mapping from names to arrays, got a list"),
        (
            ({"a": [1.0]}, {"b": "x"}),
            1.0,
            TypeError,
            r"gradients\[1\]\['b'\]: expected an array of real numbers",
        ),
    ],
)
def test_clipping_refuses_bad_arguments(
    gradients: Any, max_norm: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        clip_global_norm(*gradients, max_norm=max_norm)
