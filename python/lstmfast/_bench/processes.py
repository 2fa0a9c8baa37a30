"""Processes of this very package: how they are started, and what is left to say when they have ended."""

from __future__ import annotations

import json
import os
import signal
import sys

__all__ = ["command", "last_words"]

# With our own path, wherever it has come from: what is measured is the very package that this is.
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {module} import work; work()"
LAST_WORDS = 2000  # characters


def command(module: str) -> list[str]:
    """Return the command that runs a module's `work`."""
    return [sys.executable, "-c", _START.format(module=module), json.dumps(sys.path)]


def last_words(code: int, file: int) -> str:
    """Say how a process ended, and the last line of what it has written to `file`, its standard error."""
    return _how(code) + _tail(file)


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
    os.lseek(file, max(0, size - LAST_WORDS), os.SEEK_SET)
    text = os.read(file, LAST_WORDS).decode("utf-8", "replace").strip()
    return f": {text.splitlines()[-1]}" if text else ""
