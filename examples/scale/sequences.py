"""What the programs beside this one share: sequences in Parquet, a model that labels them, results in order.

A file of sequences has a row for each: `id` (int64) and `x`, its steps, a list of fixed-size lists of
float32, so [T, I] with a T of its own. A file of results has `id` and `y`, a float32 for each class.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import lstmfast

TOGETHER = 32  # sequences in a call
FEATURES, HIDDEN, CLASSES = 40, 256, 10


class Recognizer:
    """An LSTM, the mean of its outputs over each sequence, and a dense layer. Made once in each worker.

    Parameters
    ----------
    model : path of a folder
        With lstm.safetensors and head.npy, [H, classes].
    threads : int
        That a call may use: one for each core that is this worker's own.
    """

    def __init__(self, model: str, threads: int = 1) -> None:
        lstmfast.set_num_threads(threads)
        self.lstm = lstmfast.load(Path(model) / "lstm.safetensors")
        self.head = np.load(Path(model) / "head.npy", allow_pickle=False)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Label sequences, whatever their lengths: each has the bits that it would have alone."""
        rows = list(sequences(table, self.lstm.input_size))
        y = np.empty((len(rows), self.head.shape[1]), np.float32)
        by_length = sorted(range(len(rows)), key=lambda k: len(rows[k]))  # so that little is padded
        for first in range(0, len(rows), TOGETHER):
            places = by_length[first : first + TOGETHER]
            lengths = np.array([len(rows[k]) for k in places])
            x = np.zeros((lengths.max(), len(places), self.lstm.input_size), np.float32)  # [T, B, I]
            for b, k in enumerate(places):
                x[: lengths[b], b] = rows[k]
            out, _ = self.lstm(x, lengths=lengths)  # 0 past each end
            for b, k in enumerate(places):  # not by BLAS, whose bits may depend on a product's other rows
                y[k] = (out[: lengths[b], b].mean(axis=0)[:, np.newaxis] * self.head).sum(axis=0)
        return pa.table({"id": table["id"], "y": pa.FixedSizeListArray.from_arrays(y.ravel(), y.shape[1])})


@functools.lru_cache(maxsize=1)
def recognizer(model: str) -> Recognizer:
    """Make a Recognizer, or find the one that this process has made."""
    return Recognizer(model)


def sequences(table: pa.Table, features: int) -> Iterator[np.ndarray]:
    """Take each row's x as [T, I], without a copy; ValueError where there is none."""
    for name in ("id", "x"):
        if name not in table.column_names:
            raise ValueError(f"expected the columns id and x, got {', '.join(table.column_names)}")
    kind = pa.list_(pa.list_(pa.float32(), features))
    if table.schema.field("x").type != kind:
        raise ValueError(f"x: expected {kind}, as the model has it, got {table.schema.field('x').type}")
    x = table["x"].combine_chunks()
    lengths = pc.list_value_length(x).fill_null(0).to_numpy()
    for k in np.flatnonzero(lengths == 0)[:1]:
        raise ValueError(
            f"x: expected one step or more in each sequence, got none in id {table['id'][int(k)]}"
        )
    numbers = x.flatten().flatten().to_numpy().reshape(-1, features)
    ends = np.cumsum(lengths)
    for begin, end in zip(ends - lengths, ends, strict=True):
        yield numbers[begin:end]


def files_of(folder: Path) -> list[Path]:
    """Return the Parquet files of a folder, in order of their names."""
    found = sorted(folder.glob("*.parquet"))
    if not found:
        raise ValueError(
            f"expected Parquet files in {folder}, got {'none' if folder.is_dir() else 'no folder'}"
        )
    return found


def options(about: str | None, workers: bool = True) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(about or "").split("\n", maxsplit=1)[0])
    parser.add_argument("data", type=Path, help="folder of Parquet files")
    parser.add_argument("model", type=Path, help="folder of the model")
    parser.add_argument("out", type=Path, help="Parquet file of the results")
    parser.add_argument("--against", type=Path, help="results that these must equal, to the bit")
    if workers:
        parser.add_argument(
            "--workers", type=_count, default=2, help="of one core each, default: %(default)s"
        )
        parser.add_argument("--kill", action="store_true", help="end a worker after a third of the results")
    return parser.parse_args()


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {text!r}")
    return int(text)


def run(begun: float, chosen: argparse.Namespace, work: Callable[[int], Iterator[pa.Table]]) -> None:
    """Gather what `work` yields, in order, write it, and say how long it took. Exits with 1 if it is wrong.

    begun: when the program began, by time.perf_counter. `work` is told how many sequences there are.
    """
    try:
        if chosen.out.is_dir() or not chosen.out.parent.is_dir():
            raise ValueError(f"{chosen.out}: expected a file in a folder that is there")
        expected = [pq.read_table(path, columns=["id"])["id"] for path in files_of(chosen.data)]
        ids = pa.chunked_array([chunk for column in expected for chunk in column.chunks])
        at_work = time.perf_counter()
        result = pa.concat_tables(work(len(ids)))
        ended = time.perf_counter()
        check(result, ids)
        write(chosen.out, result)
        if chosen.against:
            compare(result, pq.read_table(chosen.against))
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    took, worked = ended - begun, ended - at_work
    rate = len(result) / took
    print(f"{len(result):,} sequences in {took:.1f} s, {rate:.0f} a second; at work {worked:.1f} s")
    if chosen.against:
        print(f"the same bits as {chosen.against.name}")


def check(result: pa.Table, ids: pa.ChunkedArray) -> None:
    """See that each sequence has one result, in order."""
    if result["id"].equals(ids):
        return
    got, wanted = result["id"].to_pylist(), ids.to_pylist()
    if len(got) != len(wanted):
        raise ValueError(f"expected a result for each of {len(wanted):,} sequences, got {len(got):,}")
    k = next(k for k, (a, b) in enumerate(zip(got, wanted, strict=True)) if a != b)
    raise ValueError(f"expected the result of id {wanted[k]} in place {k}, got that of {got[k]}")


def compare(result: pa.Table, other: pa.Table) -> None:
    """See that two results are the same, to the bit."""
    check(result, other["id"])
    a, b = (
        np.array(t["y"].combine_chunks().flatten()).view(np.uint32).reshape(len(t), -1)
        for t in (result, other)
    )
    if a.shape != b.shape:
        raise ValueError(f"expected {b.shape[1]} numbers for each sequence, got {a.shape[1]}")
    for k in np.flatnonzero((a != b).any(axis=1))[:1]:
        raise ValueError(f"expected the same bits, got others in the result of id {result['id'][int(k)]}")


def write(path: Path, table: pa.Table) -> None:
    """Write a file as a whole: under another name, then put in its place."""
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
        try:
            pq.write_table(table, file)
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
