"""The measuring process, seen from the command: started with its environment, listened to, and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import suppress
from typing import Any

from . import environment, processes, worker
from .worker import Request

__all__ = ["WorkerError", "events"]


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
            processes.command(worker.__name__),
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
            raise WorkerError(processes.last_words(process.wait(), words.fileno()))
        finally:
            process.kill()
            process.wait()
            if hasattr(os, "killpg"):
                with suppress(
                    ProcessLookupError, PermissionError
                ):  # the engines' own processes, if any are left
                    os.killpg(process.pid, signal.SIGKILL)
            assert process.stdout is not None
            process.stdout.close()
