"""flair: the parts of speech of a page of text, by the tagger that flair is known for.

Two language models over characters, one in each direction (LSTMs of 2,048 units), give each word its numbers;
a BiLSTM of 256 units and a CRF make tags of them. These are the package's own classes with the sizes of its
published English taggers. Their weights would come from a hub, so they are random: the tags mean nothing, and
take as long.
"""

import copy
import logging
import string

import torch
from _table import options, outputs_of, recurrent_share, row
from flair.data import Dictionary, Sentence
from flair.embeddings import FlairEmbeddings, StackedEmbeddings
from flair.models import LanguageModel, SequenceTagger

import lstmfast.torch

TEXT = (
    "It was the best of times , it was the worst of times , it was the age of wisdom ,"
    " it was the age of foolishness ."
    " There were a king with a large jaw and a queen with a plain face , on the throne of England ."
    " In both countries it was clearer than crystal that things in general were settled for ever ."
)
SENTENCES = 24
logging.getLogger("flair").setLevel(logging.ERROR)
chosen = options(__doc__)
torch.manual_seed(0)

characters, tags = Dictionary(), Dictionary(add_unk=False)
for character in string.printable:
    characters.add_item(character)
for tag in ("NOUN", "VERB", "ADJ", "ADV", "PRON", "DET", "ADP", "CCONJ", "PUNCT"):
    tags.add_item(tag)
directions = [
    LanguageModel(characters, is_forward_lm=way, hidden_size=2048, nlayers=1) for way in (True, False)
]
embeddings = StackedEmbeddings([FlairEmbeddings(model) for model in directions])
before = SequenceTagger(embeddings, tag_dictionary=tags, tag_type="pos", hidden_size=256).eval()
after = lstmfast.torch.freeze(lstmfast.torch.accelerate(copy.deepcopy(before)))  # the one line


def tag_page(tagger: SequenceTagger) -> tuple[list[str], list[torch.Tensor]]:
    """Each word's tag, and the scores of all tags that they were chosen by."""
    lines = TEXT.replace(" . ", " .\n").splitlines()
    page = [Sentence(lines[i % len(lines)], use_tokenizer=False) for i in range(SENTENCES)]
    with outputs_of(tagger.linear) as scores:
        tagger.predict(page, mini_batch_size=SENTENCES)
    return [token.get_label("pos").value for sentence in page for token in sentence], scores


row(
    "flair, SequenceTagger",
    f"a page, {len(tag_page(before)[0])} words",
    lambda: tag_page(before),
    lambda: tag_page(after),
    chosen,
    tolerance=1e-5,
    share=recurrent_share(before, tag_page),
)
