"""Resemblyzer, a speaker encoder: what a voice is like, in 256 numbers, from a minute of audio.

The package brings its weights: three layers of 256 units over frames of 40 mel bands, as many at once as
there are pieces of 1.6 s. The audio is synthetic: pulses of a voice through three resonances, with some
noise.
"""

import copy

import numpy as np
from _table import options, recurrent_share, row
from resemblyzer import VoiceEncoder

import lstmfast.torch

RATE = 16_000
chosen = options(__doc__)


def voice(seconds: int, rng: np.random.Generator) -> np.ndarray:
    """Sound, [samples]."""
    n = seconds * RATE
    time = np.arange(n) / RATE
    pulses = np.diff(np.floor(np.cumsum(120 + 20 * np.sin(2.5 * time)) / RATE), prepend=0)
    hertz = np.fft.rfftfreq(n, 1 / RATE)
    filters = sum(1 / (1 + ((hertz - formant) / 80) ** 2) for formant in (700, 1100, 2500))
    sound = np.fft.irfft(np.fft.rfft(pulses) * filters, n) * (1 + np.sin(20 * time))
    return (0.1 * sound / np.abs(sound).max() + 0.001 * rng.standard_normal(n)).astype(np.float32)


before = VoiceEncoder("cpu", verbose=False)
after = copy.deepcopy(before)
lstmfast.torch.freeze(lstmfast.torch.accelerate(after))  # the one line

minute = voice(60, np.random.default_rng(0))
row(
    "Resemblyzer",
    "a minute of audio",
    lambda: before.embed_utterance(minute),
    lambda: after.embed_utterance(minute),
    chosen,
    tolerance=1e-5,
    share=recurrent_share(before, lambda model: model.embed_utterance(minute)),
)
