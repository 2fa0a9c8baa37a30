"""Accelerate a PyTorch model: `import lstmfast.torch`, `lstmfast.torch.accelerate(model)`, and no more.

Needs PyTorch: pip install 'lstmfast[torch]'.

python examples/accelerate_model.py [--threads N]
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

import lstmfast.torch

VOCABULARY, WIDTH, HIDDEN, TAGS = 1000, 64, 128, 10
B, T = 16, 50  # sentences in a batch, words in a sentence


class Tagger(nn.Module):
    """An ordinary PyTorch model: words in, a score of each tag for each word out."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.lstm = nn.LSTM(WIDTH, HIDDEN, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * HIDDEN, TAGS)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        y, _ = self.lstm(self.embedding(words))
        return self.head(y)


parser = argparse.ArgumentParser(description="Time a model before and after lstmfast.torch.accelerate")
parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: %(default)s")
options = parser.parse_args()
torch.set_num_threads(options.threads)  # lstmfast's as well

torch.manual_seed(0)
plain = Tagger()
words, tags = torch.randint(VOCABULARY, (B, T)), torch.randint(TAGS, (B, T))

# In place: parameters, names and optimisers stay. It is a copy here only to be compared with the original.
model = copy.deepcopy(plain)
lstmfast.torch.accelerate(model)

for entry in lstmfast.torch.report(model):
    print(entry)
print("a call goes to", lstmfast.torch.explain(model.lstm, model.embedding(words)))


def infer(tagger: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return tagger(words)


def train(tagger: nn.Module) -> None:
    """Forward and backward; what the optimiser does is the same for both."""
    tagger.zero_grad()
    nn.functional.cross_entropy(tagger(words).flatten(0, 1), tags.flatten()).backward()


def times(work: Callable[[nn.Module], object], taggers: list[nn.Module]) -> list[float]:
    """Median milliseconds of a call; the models in turns: what else the machine does hits them alike."""
    found: list[list[float]] = [[] for _ in taggers]
    for _ in range(5):
        for tagger, seconds in zip(taggers, found, strict=True):
            work(tagger)  # not timed
            for _ in range(5):
                start = time.perf_counter()
                work(tagger)
                seconds.append(time.perf_counter() - start)
    return [1e3 * statistics.median(seconds) for seconds in found]


print(f"outputs differ by {(infer(plain) - infer(model)).abs().max():.1e} at most: both round in float32")
train(plain)
train(model)
gradients = zip(plain.parameters(), model.parameters(), strict=True)
print(f"and gradients by {max((p.grad - q.grad).abs().max() for p, q in gradients):.1e}")

# For inference: a promise that the weights stay as they are, which saves looking whether they do.
frozen = lstmfast.torch.freeze(copy.deepcopy(model))
print("after freeze,", lstmfast.torch.explain(frozen.lstm, frozen.embedding(words)))

print(f"\nmilliseconds, the median of 25 calls of the whole model, up to {options.threads} thread(s):")
for name, work in (("forward and backward", train), ("inference", infer)):
    before, after = times(work, [plain, model])
    print(f"{name}: PyTorch {before:.2f}, accelerated {after:.2f}: {before / after:.2f} times as fast")
after, best = times(infer, [model, frozen])
print(f"inference: accelerated {after:.2f}, frozen as well {best:.2f}")
print("Other sizes and other machines give other numbers: `lstmfast bench torch` measures more of them.")
