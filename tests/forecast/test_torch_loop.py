"""The training loop that is timed beside PyTorch's: the same losses, epoch by epoch."""

from __future__ import annotations

import numpy as np
import pytest

from lstmfast._fitting import Settings

from .torch_loop import load, prepared, train_ours, train_theirs


@pytest.mark.usefixtures("torch")
def test_losses_are_the_same() -> None:
    settings = Settings(epochs=3, batch_size=8, patience=None)
    network, data, later = prepared(load(500), horizon=4, period=24, hidden_size=8)
    theirs = train_theirs(network, data, later, settings)
    ours = train_ours(network, data, later, settings)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert ours[-1][0] < ours[0][0]
