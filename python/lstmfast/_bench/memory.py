"""How much memory a process takes for sessions of one model: ONNX Runtime's own, and with us in it.

Each count of sessions has a process of its own, three times, of which the median is kept. What was freed and
lies around in the allocator is part of what is measured: that, too, nobody else can have.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import engines as adapters
from . import problem, processes
from .cases import Case

__all__ = ["MODEL", "SESSIONS", "Growth", "measure"]

MODEL = Case(1, 1, 1024, 1024)  # 32 MiB of weights
SESSIONS = (1, 3)
TIMES = 3
ENGINES = ("lstmfast in ONNX Runtime", "ONNX Runtime bound")
# A model that is run before, so that libraries are loaded, and threads started.
_FIRST = Case(1, 1, 8, 8)
_STATM = Path("/proc/self/statm")


@dataclass(frozen=True)
class Growth:
    """What a process grew by when it made so many sessions of `MODEL` and ran each once."""

    engine: str
    sessions: int
    resident: int | None = None  # bytes, as the system counts them
    held: int | None = None  # bytes that stay when what is free is given back, where that can be done
    note: str = ""  # why there is nothing

    @property
    def mebibytes(self) -> int | None:
        """Whole ones of `resident`, whose counter in the system is not exact."""
        return None if self.resident is None else round(self.resident / 2**20)


def measure(engines: Mapping[str, str], threads: int, isa: str | None) -> Iterator[Growth]:
    """Measure those of `ENGINES` that are there, one count of sessions after the other.

    Parameters
    ----------
    engines : mapping
        Name to "module:class".
    threads : int
        Of each session.
    isa : str, optional
        What all are held to.
    """
    specs = {name: engines[name] for name in ENGINES if name in engines}
    if not specs:
        return
    if not _STATM.exists():
        for name in specs:
            yield Growth(name, SESSIONS[0], note="this system does not say how much a process takes")
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder, f"{name}.onnx")) for name in ("first", "model")]
        for path, case in zip(paths, (_FIRST, MODEL), strict=True):
            _write(path, case)
        for sessions in SESSIONS:
            for name, spec in specs.items():
                asked = {"spec": spec, "threads": threads, "isa": isa, "paths": paths, "sessions": sessions}
                yield _median([replace(_grown(asked), engine=name) for _ in range(TIMES)])


def _write(path: str, case: Case) -> None:
    from .engines import onnx_model

    Path(path).write_bytes(onnx_model.build(problem.make(case)).SerializeToString())


def _median(found: list[Growth]) -> Growth:
    """Return the one in the middle; one that failed, if one has."""
    if bad := [growth for growth in found if growth.note]:
        return bad[0]
    middle = statistics.median_low([growth.resident or 0 for growth in found])
    return next(growth for growth in found if growth.resident == middle)


def _grown(asked: Mapping[str, Any]) -> Growth:
    with tempfile.TemporaryFile() as words:
        done = subprocess.run(
            processes.command(__name__),
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            stderr=words,
            check=False,
        )
        if done.returncode:
            note = f"its process ended: {processes.last_words(done.returncode, words.fileno())}"
            return Growth("", asked["sessions"], note=note)
        return Growth("", asked["sessions"], **json.loads(done.stdout))


# The other side --------------------------------------------------------------------------------------


def work() -> None:
    """Be a process that makes sessions: what is asked on standard input, bytes on standard output."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asked = json.loads(sys.stdin.read())
    engine: Any = adapters.load(asked["spec"], asked["threads"], asked["isa"])
    if reason := engine.missing():
        raise SystemExit(reason)
    first, model = asked["paths"]
    # What a process has, be it for little work, is not what a model takes.
    kept = [_session(engine, first, _FIRST)]
    gc.collect()
    before = _resident()
    kept += [_session(engine, model, MODEL) for _ in range(asked["sessions"])]
    gc.collect()
    found = {"resident": _resident() - before, "held": None}
    with contextlib.suppress(OSError, AttributeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)
        found["held"] = _resident() - before
    with answer:
        json.dump(found, answer)


def _session(engine: Any, path: str, case: Case) -> Any:  # noqa: ANN401 - onnxruntime is not there for the type checker
    import numpy as np

    session = engine.session(path)
    session.run(None, {"x": np.zeros((case.T, case.B, case.I), np.float32)})
    return session


def _resident() -> int:
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
