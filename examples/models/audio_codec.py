"""transformers' Encodec, an audio codec: ten seconds of sound into whole numbers and back.

The package's own class with its default configuration (that of the 24 kHz model): two layers of LSTM (512
units) at the end of the encoder and at the beginning of the decoder, over 75 frames a second. Weights would
come from a hub, so they are random: what comes out is noise, and takes as long.

Compared are the encoder's frames and the decoder's sound for the same codes: codes are choices of the nearest
of 1,024 vectors, and where two are as near rounding decides.
"""

import copy

import torch
from _table import options, recurrent_share, row
from transformers import EncodecConfig, EncodecModel

import lstmfast.torch

SECONDS = 10
chosen = options(__doc__)
torch.manual_seed(0)

before = EncodecModel(EncodecConfig()).eval()
after = lstmfast.torch.freeze(lstmfast.torch.accelerate(copy.deepcopy(before)))  # the one line

time = torch.arange(before.config.sampling_rate * SECONDS) / before.config.sampling_rate
sound = (0.5 * torch.sin(2 * torch.pi * (200 + 50 * torch.sin(time)) * time))[None, None]
with torch.no_grad():
    codes = before.encode(sound, bandwidth=6.0).audio_codes


@torch.no_grad()
def there_and_back(model: EncodecModel) -> tuple[torch.Tensor, torch.Tensor]:
    frames = model.encoder(sound)
    model.quantizer.encode(frames, 6.0)
    return frames, model.decode(codes, [None]).audio_values


row(
    "Encodec",
    "10 s of sound, there and back",
    lambda: there_and_back(before),
    lambda: there_and_back(after),
    chosen,
    tolerance=1e-4,
    share=recurrent_share(before, there_and_back),
)
