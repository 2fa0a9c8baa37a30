"""Label all sequences of a folder by workers of Dask, one for each core, each with the model loaded.

python examples/scale/dask_files.py FOLDER/data FOLDER/model dask.parquet --workers 2

What a worker had in hand when it ended is done by another, or by the one that Dask begins in its place:
--kill shows that.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import dask
import pyarrow as pa
import pyarrow.parquet as pq
from dask.distributed import Client, LocalCluster
from sequences import files_of, options, recognizer, run


def label(path: str, model: str) -> pa.Table:
    """Label the sequences of a file; the worker makes the model when it is first asked."""
    return recognizer(model)(pq.read_table(path, columns=["id", "x"]))


def main() -> None:
    """Begin Dask on this machine, and run. On a cluster: Client(address), whose workers find this folder."""
    begun = time.perf_counter()
    chosen = options(__doc__)
    dask.config.set({"distributed.admin.log-format": "%(message)s", "logging.distributed": "critical"})
    cluster = LocalCluster(n_workers=chosen.workers, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:

        def work(_: int) -> Iterator[pa.Table]:
            files = [str(path.resolve()) for path in files_of(chosen.data)]
            futures = client.map(label, files, model=str(chosen.model.resolve()), pure=False)
            for number in range(len(files)):
                if chosen.kill and number == len(files) // 3:
                    os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
                yield futures.pop(0).result()  # which its worker then need not keep

        run(begun, chosen, work)


if __name__ == "__main__":
    main()
