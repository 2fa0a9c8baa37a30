"""Neural Amp Modeler: a minute of guitar through an LSTM that sounds like an amplifier, from a `.nam` file.

The file is written by the package's own exporter, from its own LSTM class: one layer of 16 units (its "tiny"
to "standard" ones have 8 to 24). No amplifier's weights come with the package, so they are random here, which
changes the sound and not the time. lstmfast reads the file, and a stream then plays it, block by block of 64
samples, as a plug-in does; the second row gives PyTorch's module in the package to lstmfast instead.

The guitar is synthetic: plucked strings after Karplus and Strong.
"""

import copy
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from _table import options, recurrent_share, row
from nam.models import LSTM, init_from_nam

import lstmfast
import lstmfast.torch

RATE, BLOCK = 48_000, 64
chosen = options(__doc__)


def strings(seconds: int, rng: np.random.Generator) -> np.ndarray:
    """Plucked strings, two a second: [samples]."""
    sound = np.zeros(seconds * RATE, np.float32)
    for start in range(0, len(sound), RATE // 2):
        period = int(RATE / rng.choice([82.4, 110.0, 146.8, 196.0]))
        wave = rng.uniform(-1, 1, period)
        pluck = []
        while len(pluck) * period < RATE // 2:
            pluck.append(wave)
            wave = 0.498 * (wave + np.roll(wave, 1))
        sound[start : start + RATE // 2] = 0.5 * np.concatenate(pluck)[: RATE // 2]
    return sound


class Amplifier:
    """What a `.nam` file with an LSTM does to sound that comes in blocks."""

    def __init__(self, path: Path) -> None:
        self.rest = {}
        lstm = lstmfast.LSTM.from_weights(path, "nam", rest=self.rest)  # the one line
        self.stream = lstm.stream()

    def play(self, sound: np.ndarray) -> np.ndarray:
        rest = self.rest
        self.stream.state = rest["h_0"][:, None], rest["c_0"][:, None]
        heads = [
            self.stream.run(sound[i : i + BLOCK, None]) @ rest["head_weight"] + rest["head_bias"]
            for i in range(0, len(sound), BLOCK)
        ]
        return np.concatenate(heads)


torch.manual_seed(0)
model = LSTM(hidden_size=16, sample_rate=RATE).eval()
with tempfile.TemporaryDirectory() as folder:
    model.export(folder)
    (path,) = Path(folder).glob("*.nam")
    amplifier = Amplifier(path)
    model = init_from_nam(json.loads(path.read_text(encoding="utf-8")))  # as the package itself reads it
accelerated = lstmfast.torch.freeze(lstmfast.torch.accelerate(copy.deepcopy(model)))  # the one line

minute = strings(60, np.random.default_rng(0))


@torch.no_grad()
def play(model: LSTM) -> torch.Tensor:
    return model(torch.from_numpy(minute), pad_start=False)


share = recurrent_share(model, play)
for name, after in (
    ("NAM's LSTM, the whole file", lambda: play(accelerated)),
    ("NAM's LSTM, by a stream", lambda: amplifier.play(minute)),
):
    row(name, "a minute of guitar", lambda: play(model), after, chosen, tolerance=1e-5, share=share)
