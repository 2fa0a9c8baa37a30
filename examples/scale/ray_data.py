"""Label all sequences of a folder by actors of Ray Data, one for each core, each with the model loaded.

python examples/scale/ray_data.py FOLDER/data FOLDER/model ray.parquet --workers 2

An actor that ends is begun again by Ray, and what it had in hand is done again: --kill shows that.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import ray
import ray.data
from sequences import Recognizer, options, run

ROWS = 100  # of a block, the unit that an actor takes and, if it ends, another takes again


class Actor(Recognizer):
    """A Recognizer that says in whose process it works."""

    def __call__(self, table: pa.Table) -> pa.Table:
        """Label a block."""
        return super().__call__(table).append_column("pid", pa.array([os.getpid()] * len(table), pa.int64()))


def main() -> None:
    """Begin Ray on this machine, and run. For a cluster: address="auto", and paths that all machines see."""
    begun = time.perf_counter()
    chosen = options(__doc__)
    here = str(Path(__file__).resolve().parent)
    ray.init(
        address="local",
        num_cpus=chosen.workers + 1,  # one for what reads the files
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env={"env_vars": {"PYTHONPATH": here}},  # of a cluster: working_dir, which Ray copies
    )
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)

    def work(total: int) -> Iterator[pa.Table]:
        data = ray.data.read_parquet(str(chosen.data)).select_columns(["id", "x"])
        labelled = data.repartition(target_num_rows_per_block=ROWS).map_batches(
            Actor,
            fn_constructor_args=[str(chosen.model.resolve())],
            batch_format="pyarrow",
            batch_size=None,  # blocks as they are
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=chosen.workers),
        )
        done, kill = 0, chosen.kill
        shares: dict[int, int] = {}  # sequences, by process
        for table in labelled.iter_batches(batch_format="pyarrow", batch_size=None):
            pids = table["pid"].to_pylist()
            for pid in pids:
                shares[pid] = shares.get(pid, 0) + 1
            done += len(table)
            if kill and 3 * done >= total:
                kill = False
                os.kill(pids[-1], signal.SIGKILL)
            yield table.drop_columns(["pid"])
        print(
            "sequences by process:",
            ", ".join(f"{share:,}" for share in sorted(shares.values(), reverse=True)),
        )

    run(begun, chosen, work)


if __name__ == "__main__":
    main()
