"""Keras fixes its backend when it is imported: tests run on the one that KERAS_BACKEND names.

`KERAS_BACKEND=jax pytest tests/keras` runs them on another than torch; each in a process of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
# JAX would compile for longer than all else takes; what it compiles is not ours.
if os.environ["KERAS_BACKEND"] == "jax":
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's own words, which nobody here reads


_HERE = Path(__file__).parent

# Warnings of Keras' own and of what it stands on, which are theirs to mend.
_THEIRS = (
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning",  # with NumPy 2
    "ignore:Explicitly requested dtype:UserWarning",  # of JAX, where a layer's float64 is float32
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let Keras' own warnings pass in the tests of this folder."""
    for item in items:
        if item.path.parent == _HERE:
            for line in _THEIRS:
                item.add_marker(pytest.mark.filterwarnings(line))


@pytest.fixture(autouse=True)
def _fresh_names() -> Iterator[None]:
    """Seed Keras, and let it forget what it keeps of layers: names, graphs, sessions."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    yield
    keras.utils.clear_session(free_memory=False)
