"""g2p_en, from letters to sounds: the pronunciation of a page of words that no dictionary has.

The package brings its weights, a GRU that reads and one that writes (128 units each), and runs them in NumPy.
Words in the CMU dictionary never come to them, and that is nltk's to download (as are its tags of words):
without it the package cannot be imported. So a stand-in for nltk is here, with an empty dictionary, and what
is timed is the network alone, `G2p.predict`, word by word as the package calls it.
"""

import random
import sys
import types

import numpy as np
from _table import options, row

import lstmfast

chosen = options(__doc__)


def without_downloads() -> None:
    """Put the names that the package imports from nltk in its place."""
    nltk, corpus, tokenize = (types.ModuleType(name) for name in ("nltk", "nltk.corpus", "nltk.tokenize"))
    nltk.pos_tag = lambda words: [(word, "NN") for word in words]
    nltk.data = types.SimpleNamespace(find=lambda name: None)
    corpus.cmudict = types.SimpleNamespace(dict=dict)
    tokenize.TweetTokenizer = lambda: types.SimpleNamespace(tokenize=str.split)
    sys.modules |= {module.__name__: module for module in (nltk, corpus, tokenize)}


without_downloads()
from g2p_en import G2p


class Faster(G2p):
    """The package's class, its two GRUs as lstmfast's."""

    def load_variables(self) -> None:
        super().load_variables()
        for part in ("enc", "dec"):
            names = {"weight_ih": "w_ih", "weight_hh": "w_hh", "bias_ih": "b_ih", "bias_hh": "b_hh"}
            weights = {name: getattr(self, f"{part}_{theirs}") for name, theirs in names.items()}
            setattr(self, part, lstmfast.GRU.from_weights(weights, "pytorch-cell"))  # the one line

    def gru(self, x, steps, *weights, h0):  # noqa: ANN001, ANN002, ANN201
        return self.enc(x.swapaxes(0, 1), h0[None])[0].swapaxes(0, 1)

    def grucell(self, x, h, *weights):  # noqa: ANN001, ANN002, ANN201
        return self.dec(x[None], h[None])[0][0]


letters = random.Random(0)
page = []
for _ in range(300):
    syllables = [letters.choice("bcdfglmnprstvw") + letters.choice(["a", "e", "i", "o", "u", "ee", "ou"])]
    while letters.random() < 0.6:
        syllables.append(
            letters.choice("bdfklmnprst") + letters.choice("aeiou") + letters.choice(["", "n", "r", "st"])
        )
    page.append("".join(syllables))

before, after = G2p(), Faster()
said = [[" ".join(g2p.predict(word)) for word in page] for g2p in (before, after)]
if said[0] != said[1]:
    sys.exit("they pronounce words in two ways")
print(f"both pronounce all {len(page)} words alike: {page[0]} is {said[0][0]}")


def sounds(g2p: G2p) -> np.ndarray:
    """What the network says of all words, as numbers."""
    return np.concatenate([[g2p.p2idx[phoneme] for phoneme in g2p.predict(word)] for word in page])


row(
    "g2p_en, the network",
    "300 unknown words",
    lambda: sounds(before),
    lambda: sounds(after),
    chosen,
    tolerance=0,
)
