"""Run all cases of a framework's side: python -m tests.frameworks.side NAME FILE."""

from __future__ import annotations

import importlib
import pickle
import sys
import warnings
from pathlib import Path
from types import ModuleType

from .outcomes import Outcome


def side(name: str) -> ModuleType:
    """The file of a framework's side; it is imported without the framework."""
    return importlib.import_module(f".sides.of_{name}", __package__)


def main(name: str, path: str) -> None:
    """Run all cases and write what came; of one that raised, its error."""
    found: dict[str, Outcome | str] = {}
    for case, run in side(name).CASES.items():
        try:
            found[case] = run()
        except Exception as error:
            found[case] = f"{type(error).__name__}: {error}"
    Path(path).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
