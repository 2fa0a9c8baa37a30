"""Threads of Python that begin together, and what any of them raised."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LONG_ENOUGH = 60.0  # seconds, for what takes a tenth of one; no test waits for ever


def together(jobs: list[Callable[[], None]]) -> None:
    """Run all jobs at once, each in a thread; raise what any of them raised; fail if one does not end."""
    errors: list[BaseException] = []
    gate = threading.Barrier(len(jobs))

    def run(job: Callable[[], None]) -> None:
        try:
            gate.wait(LONG_ENOUGH)
            job()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + LONG_ENOUGH
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads), "a thread did not end"
    if errors:
        raise errors[0]
