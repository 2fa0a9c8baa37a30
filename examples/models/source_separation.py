"""Demucs: ten seconds of music into four sources, by its Demucs and its HDemucs.

Both are the package's own classes with their own default configuration, which have LSTMs of both directions:
two layers of 512 and more units in the middle of Demucs, smaller ones within the branches of HDemucs'
encoders. Weights would come from a hub, so they are random: what comes out is no music, and takes as long.
The input is chords in noise.
"""

import copy

import torch
from _table import options, recurrent_share, row
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs

import lstmfast.torch

RATE, SECONDS = 44_100, 10
chosen = options(__doc__)
torch.manual_seed(0)

time = torch.arange(RATE * SECONDS) / RATE
chord = sum(torch.sin(2 * torch.pi * hertz * time) for hertz in (220.0, 277.2, 329.6)) / 3
music = chord * (1 - time * 2 % 1) + 0.05 * torch.randn(1, 2, len(time))


@torch.no_grad()
def separate(model: torch.nn.Module) -> torch.Tensor:
    return model(music)


for kind in (Demucs, HDemucs):
    before = kind(sources=["drums", "bass", "other", "vocals"]).eval()
    after = lstmfast.torch.freeze(lstmfast.torch.accelerate(copy.deepcopy(before)))  # the one line
    row(
        kind.__name__,
        "10 s of music",
        lambda model=before: separate(model),
        lambda model=after: separate(model),
        chosen,
        tolerance=1e-4,
        share=recurrent_share(before, separate),
    )
