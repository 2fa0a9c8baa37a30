"""Write a folder of Parquet files with sequences of many lengths, and a model for them.

python examples/scale/write_sequences.py FOLDER

FOLDER/data gets 100 files of 100 sequences of 20 to 300 steps, some 300 MB; FOLDER/model an LSTM of random
weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
from sequences import CLASSES, FEATURES, HIDDEN, write

import lstmfast

parser = argparse.ArgumentParser(description="Write sequences and a model")
parser.add_argument("folder", type=Path)
parser.add_argument("--files", type=int, default=100, help="default: %(default)s")
parser.add_argument("--rows", type=int, default=100, help="in each file, default: %(default)s")
parser.add_argument("--longest", type=int, default=300, help="steps, default: %(default)s")


def main() -> None:
    """Write all of it; the same bytes each time."""
    chosen = parser.parse_args()
    random = np.random.default_rng(1)
    data, model = chosen.folder / "data", chosen.folder / "model"
    data.mkdir(parents=True)  # an error where it is there: files of another run would stay
    model.mkdir()
    for number in range(chosen.files):
        lengths = random.integers(min(20, chosen.longest), chosen.longest, chosen.rows, endpoint=True)
        numbers = random.standard_normal(lengths.sum() * FEATURES, dtype=np.float32)
        steps = pa.FixedSizeListArray.from_arrays(numbers, FEATURES)
        x = pa.ListArray.from_arrays(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32), steps)
        ids = np.arange(number * chosen.rows, (number + 1) * chosen.rows)
        write(data / f"part-{number:05}.parquet", pa.table({"id": ids, "x": x}))
    lstm = lstmfast.LSTM(FEATURES, HIDDEN, num_layers=2, bidirectional=True, seed=1)
    lstm.save(model / "lstm.safetensors")
    np.save(model / "head.npy", random.standard_normal((2 * HIDDEN, CLASSES), dtype=np.float32) / 16)


if __name__ == "__main__":
    main()
