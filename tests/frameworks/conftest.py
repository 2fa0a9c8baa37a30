"""What tests of several frameworks ask for by name, and who must be imported first."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Iterator

import pytest

# Paddle 3.3.1 and TensorFlow 2.21, which Keras may bring, get on in one process in this order.
if all(importlib.util.find_spec(name) is not None for name in ("paddle", "tensorflow")):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("paddle")


@pytest.fixture
def x64() -> Iterator[None]:
    """JAX with float64, for one test."""
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)
