"""The measuring process, seen from the command: started with its environment, listened to, and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from typing import Any

from . import environment
from .worker import Request

__all__ = ["WorkerError", "events"]

# With our own path, wherever it has come from: what is measured is the very package that this is.
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from lstmfast._bench.worker import work; work()"
)
LAST_WORDS = 2000  # characters


class WorkerError(Exception):
    """The measuring process ended before its work did; the text says how, and its last words."""


def events(request: Request) -> Generator[dict[str, Any], None, None]:
    """Start a measuring process and yield its events; close the generator to end it early.

    Raises
    ------
    WorkerError
        If it ends before its last event.
    """
    changes = environment.variables(request.threads, request.isa, os.environ)
    inner = {**os.environ, **changes}
    yield {"event": "environment", "variables": environment.relevant(inner)}
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            env=inner,
            encoding="utf-8",
            # Ctrl-C is for the command, which then ends this process and keeps what it has said.
            start_new_session=True,
        )
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                with process.stdin as stdin:
                    stdin.write(request.to_json())
            except BrokenPipeError:
                pass  # it has died at once; how, comes next
            for line in process.stdout:
                event = json.loads(line)
                yield event
                if event["event"] == "end":
                    return
            raise WorkerError(_how(process.wait()) + _tail(words.fileno()))
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def _tail(file: int) -> str:
    """Return the end of what the process has said on standard error."""
    size = os.fstat(file).st_size
    text = os.pread(file, LAST_WORDS, max(0, size - LAST_WORDS)).decode("utf-8", "replace").strip()
    return f": {text.splitlines()[-1]}" if text else ""
