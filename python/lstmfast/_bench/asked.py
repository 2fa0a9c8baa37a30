"""A process that is asked over pipes, and answers or ends: of an engine, or of another revision."""

from __future__ import annotations

import pickle
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

from . import processes
from .engines import UnsupportedError

__all__ = ["Asked", "AskedError", "send"]


class AskedError(Exception):
    """What the process has raised, type and all, or how it ended."""


class Asked:
    """The process starts when it is first asked, and anew after it has ended.

    It reads pickles on its standard input: first of all `first`, then questions, tuples that begin with a
    name. On its standard output it answers each by a pair: "" and the answer, or "unsupported" or "failed"
    and why.
    """

    def __init__(
        self, command: Sequence[str], first: object, environment: Mapping[str, str] | None = None
    ) -> None:
        """Take the command, what it is told first, and its environment, None for this process's own."""
        self._command = command
        self._first = first
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._words: IO[bytes] | None = None

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._end()

    @property
    def _is_running(self) -> bool:
        return self._process is not None

    def _ask(self, *question: object) -> Any:  # noqa: ANN401 - as the process returns it
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            send(question, self._process.stdin)
            kind, answer = pickle.load(self._process.stdout)
        except (BrokenPipeError, EOFError, pickle.UnpicklingError):
            raise AskedError(f"its process ended: {self._end()}") from None
        if kind == "unsupported":
            raise UnsupportedError(answer)
        if kind == "failed":
            raise AskedError(answer)
        return answer

    def _start(self) -> None:
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `_end`
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env=None if self._environment is None else dict(self._environment),
        )
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has died at once; how, the first question finds out
            send(self._first, self._process.stdin)

    def _end(self) -> str:
        """Forget the process, and say how it ended."""
        process, words = self._process, self._words
        assert process is not None
        assert words is not None
        self._process = self._words = None
        with words:
            code = process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(BrokenPipeError):  # what it was not told any more
                    if pipe is not None:
                        pipe.close()
            return processes.last_words(code, words.fileno())


def send(what: object, pipe: IO[bytes]) -> None:
    """Write a pickle, at once."""
    pickle.dump(what, pipe)
    pipe.flush()
