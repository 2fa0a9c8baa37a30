"""Neural Amp Modeler's LSTM: its own export in our layer, and ours in what its own import makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import Array, assert_same_bits, random
from .helpers import H, close

torch = pytest.importorskip("torch")
recurrent = pytest.importorskip("nam.models.recurrent")


def played(file: Any, x: Array) -> Array:
    """What a model of Neural Amp Modeler's gives, [B, T], that imports a file's numbers."""
    model = recurrent.LSTM(**file["config"])
    model.import_weights(np.asarray(file["weights"], np.float32))
    with torch.no_grad():
        y: Array = model.eval()._forward(torch.from_numpy(x)).numpy()
    return y


def ours(layer: Any, rest: dict[str, Any], x: Array) -> Array:
    """The same of our layer: it begins with the file's state, and the head is beside it."""
    state = tuple(np.repeat(rest[name][:, None], len(x), 1) for name in ("h_0", "c_0"))
    y, _ = layer(x.T[:, :, None], state)
    return np.asarray((y @ rest["head_weight"] + rest["head_bias"][0]).T, np.float32)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_lstm(num_layers: int) -> None:
    torch.manual_seed(3)
    theirs = recurrent.LSTM(H, num_layers=num_layers)
    theirs._get_initial_state_burn_in = 16  # silence before the state that it exports, 48000 else
    weights = theirs._export_weights()
    file = {"architecture": "LSTM", "config": theirs._export_config(), "weights": weights.tolist()}
    x = random((3, 12))
    rest: dict[str, Any] = {}
    layer = lstmfast.LSTM.from_weights(file, "nam", rest=rest)
    assert np.abs(rest["h_0"]).max() > 1e-3  # else the state would not matter
    close(ours(layer, rest, x), played(file, x), "y")

    written = layer.to_weights("nam", rest=rest)
    assert written["config"] == file["config"]
    assert_same_bits(np.asarray(written["weights"], np.float32), weights)

    layer.load_state_dict({name: random(array.shape, seed=5) for name, array in layer.state_dict().items()})
    rest |= {name: random(rest[name].shape, seed=6) for name in ("h_0", "c_0")}
    close(ours(layer, rest, x), played(layer.to_weights("nam", rest=rest), x), "y of ours")
