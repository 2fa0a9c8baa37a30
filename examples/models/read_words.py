"""docTR: words, from a picture of each, by two of its recognisers.

`crnn_vgg16_bn` ends with two layers of LSTM of both directions (128 units) over 32 columns; `sar_resnet31`
has an LSTM as well, and writes by two `LSTMCell`s with attention (512 units), character by character. The
package's own classes and its own predictor; weights would come from a hub, so they are random: what is read
is nonsense, and takes as long.
"""

import copy

import numpy as np
import torch
from _table import import_torchvision, options, recurrent_share, row

import_torchvision()
from doctr.models import recognition_predictor
from doctr.models.recognition import crnn_vgg16_bn, sar_resnet31
from PIL import Image, ImageDraw, ImageFont

import lstmfast.torch

TEXT = (
    "It was the best of times it was the worst of times it was the age of wisdom"
    " it was the age of foolishness"
)
chosen = options(__doc__)


def picture(word: str) -> np.ndarray:
    """[32, width, 3]."""
    font = ImageFont.load_default(24)
    page = Image.new("RGB", (int(font.getlength(word)) + 8, 32), "white")
    ImageDraw.Draw(page).text((4, 1), word, fill="black", font=font)
    return np.asarray(page)


words = [picture(word) for word in TEXT.split() * 10]


def read(model: torch.nn.Module, words: list[np.ndarray]) -> list[tuple[str, float]]:
    """Each word's text, and how sure it is of it."""
    return recognition_predictor(model, batch_size=64)(words)


for kind, count in ((crnn_vgg16_bn, 200), (sar_resnet31, 20)):
    torch.manual_seed(0)
    before = kind(pretrained=False, pretrained_backbone=False).eval()
    after = lstmfast.torch.freeze(lstmfast.torch.accelerate(copy.deepcopy(before)))  # the one line
    some = words[:count]
    row(
        f"docTR, {kind.__name__}",
        f"{count} words",
        lambda model=before, some=some: read(model, some),
        lambda model=after, some=some: read(model, some),
        chosen,
        tolerance=1e-5,
        share=recurrent_share(before, lambda model, some=some: read(model, some)),
    )
