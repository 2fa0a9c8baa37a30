"""EasyOCR: a page of text, from pictures of its lines.

The package's own recogniser (of its second generation: convolutions, then two LSTMs of both directions, 256
units) and its own loop over pictures, a line at a time, as `readtext` does it. Weights would be downloaded,
so they are random: what it reads is nonsense, and takes as long. Where lines are on a page is another
network, without an LSTM; it is not part of this.

On a CPU EasyOCR quantises its recogniser by PyTorch's `quantize_dynamic` unless told `quantize=False`. What
that makes of an LSTM lstmfast leaves as it is; so it is quantize=False here, before and after, and the
default beside it.
"""

import copy
import warnings

import numpy as np
import torch
from _table import import_torchvision, options, outputs_of, recurrent_share, row, seconds_in_turns, time_said

import_torchvision()
from easyocr.config import recognition_models
from easyocr.model.vgg_model import Model
from easyocr.recognition import get_text
from easyocr.utils import CTCLabelConverter
from PIL import Image, ImageDraw, ImageFont

import lstmfast.torch

TEXT = (
    "It was the best of times, it was the worst of times, it was the age of wisdom,"
    " it was the age of foolishness"
)
HEIGHT, LINES = 64, 40
warnings.filterwarnings("ignore")  # of PyTorch, about its quantisation
chosen = options(__doc__)


def picture(text: str) -> np.ndarray:
    """Grey, [height, width]."""
    font = ImageFont.load_default(44)
    width = int(font.getlength(text)) + 20
    page = Image.new("L", (width, HEIGHT), 255)
    ImageDraw.Draw(page).text((10, 5), text, fill=0, font=font)
    return np.asarray(page)


words = TEXT.split()
pictures = [picture(" ".join((words[i % 20 :] + words)[:9])) for i in range(LINES)]
widest = max(each.shape[1] for each in pictures)
lines = [(None, each) for each in pictures]

characters = recognition_models["gen2"]["english_g2"]["characters"]
converter = CTCLabelConverter(characters)
torch.manual_seed(0)
before = Model(
    input_channel=1, output_channel=256, hidden_size=256, num_class=len(converter.character)
).eval()
after = lstmfast.torch.freeze(lstmfast.torch.accelerate(copy.deepcopy(before)))  # the one line


def read(model: torch.nn.Module) -> tuple[list[str], list[torch.Tensor]]:
    """Each line's text, and the scores of all characters that it was chosen by."""
    with outputs_of(model) as scores:
        found = get_text(characters, HEIGHT, widest, model, converter, lines, contrast_ths=0.0, workers=0)
    return [text for _, text, _ in found], scores


row(
    "EasyOCR, quantize=False",
    f"a page of {LINES} lines",
    lambda: read(before),
    lambda: read(after),
    chosen,
    tolerance=1e-5,
    share=recurrent_share(before, read),
)
default = torch.quantization.quantize_dynamic(copy.deepcopy(before), dtype=torch.qint8)
quantised, ours = seconds_in_turns([lambda: read(default), lambda: read(after)], chosen.rounds)
print(
    f"by default, with PyTorch's int8, it takes {time_said(quantised)} where lstmfast takes {time_said(ours)}"
)
