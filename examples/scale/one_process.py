"""Label all sequences of a folder in this process, on one thread: what the others are measured by.

python examples/scale/one_process.py FOLDER/data FOLDER/model one.parquet
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
from sequences import Recognizer, files_of, options, run

BEGUN = time.perf_counter()
chosen = options(__doc__, workers=False)


def work(_: int) -> Iterator[pa.Table]:
    """Yield the results of each file."""
    label = Recognizer(str(chosen.model))
    for path in files_of(chosen.data):
        yield label(pq.read_table(path))


run(BEGUN, chosen, work)
