"""Neural Amp Modeler: files that its own exporter writes, with what its model makes of a signal."""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ..outcomes import B, H, Outcome, inputs, random

NEEDS = ("nam", "torch")


def _file(num_layers: int) -> Outcome:
    import torch

    LSTM: Any = importlib.import_module("nam.models.recurrent").LSTM

    model = LSTM(H, num_layers=num_layers).eval()
    with torch.no_grad():
        for k, parameter in enumerate(model.parameters()):
            parameter.copy_(torch.from_numpy(random(*parameter.shape, seed=k + 10)))
    # The state to begin with is what silence leaves: a short one, for the file is the same in kind.
    model._get_initial_state_burn_in = 50
    with tempfile.TemporaryDirectory() as folder:
        model.export(Path(folder), include_snapshot=False)
        (path,) = Path(folder).glob("*.nam")
        arrays = json.loads(path.read_text(encoding="utf-8"))
    x = inputs(1)  # one signal
    with torch.no_grad():
        # A model of the same file: its state to begin with is that of the file.
        again = LSTM(H, num_layers=num_layers).eval()
        again.import_weights(np.array(arrays["weights"], np.float32))
        state = [s.data[:, None].repeat(1, B, 1) for s in (again._initial_hidden, again._initial_cell)]
        y = again._forward(torch.from_numpy(x[:, :, 0].T.copy()), initial_state=tuple(state))
    versions = {"neural-amp-modeler": version("neural-amp-modeler")}
    return Outcome(
        "LSTM", "nam", arrays, x, y.numpy().T[..., np.newaxis].copy(), with_rest=True, versions=versions
    )


CASES: dict[str, Callable[[], Outcome]] = {
    "one layer": partial(_file, 1),
    "two layers": partial(_file, 2),
}
