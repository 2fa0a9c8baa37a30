"""The files that a run writes: tried before anything is measured, written whatever has happened."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .._files import writing
from . import inside, targets
from .results import Report

__all__ = ["Outputs", "UnwritableError"]


class UnwritableError(Exception):
    """A path cannot be written to; the text is one line."""


@dataclass(frozen=True)
class Outputs:
    """Where to write what; None is nowhere."""

    json: Path | None = None
    plot: Path | None = None
    html: Path | None = None

    def _chosen(self) -> dict[str, Path]:
        return {f"--{name}": path for name in ("json", "plot", "html") if (path := getattr(self, name))}

    def __bool__(self) -> bool:
        return bool(self._chosen())

    def __str__(self) -> str:
        return ", ".join(str(path) for path in self._chosen().values())

    def check(self) -> None:
        """Try every path, so that nothing is measured for results that cannot be kept.

        A file that is there keeps its content; one that is not will not be there after this, either.

        Raises
        ------
        UnwritableError
            If one cannot be written.
        ModuleNotFoundError
            If matplotlib is wanted but not there.
        """
        for option, path in self._chosen().items():
            try:
                writing.check(path)
            except (OSError, ValueError) as error:  # ValueError: a null character in the name
                raise UnwritableError(_unwritten(option, path, error)) from None
        if self.plot or self.html:
            import matplotlib  # noqa: F401 - better now than after the measurements

    def write(self, report: Report) -> list[str]:
        """Write what was chosen; one that fails does not keep the others from being written.

        Returns
        -------
        list of str
            What could not be written, and why.
        """
        wrong = []
        writers: dict[str, Callable[[Path, Report], None]] = {
            "--json": _write_json,
            "--plot": _write_plot,
            "--html": _write_html,
        }
        for option, path in self._chosen().items():
            try:
                writers[option](path, report)
            except OSError as error:
                wrong.append(_unwritten(option, path, error))
        return wrong


def _unwritten(option: str, path: Path, error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{option}: cannot write to {os.fspath(path)!r}: {reason}"


def _write_json(path: Path, report: Report) -> None:
    everything = report.to_json()
    everything |= {"targets": targets.to_json(report), "inside": inside.to_json(report)}
    writing.write(path, (json.dumps(everything, indent=1, allow_nan=False) + "\n").encode())


def _write_plot(path: Path, report: Report) -> None:
    from . import pictures

    kind = path.suffix.lower().lstrip(".")
    writing.write(path, pictures.both(report, kind if kind in {"svg", "pdf"} else "png"))


def _write_html(path: Path, report: Report) -> None:
    from . import page

    writing.write(path, page.render(report).encode())
