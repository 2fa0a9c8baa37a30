"""Run all cases of a framework's side: python -m tests.frameworks.side NAME FILE."""

from __future__ import annotations

import importlib
import pickle
import sys
import warnings
from pathlib import Path


def main(name: str, path: str) -> None:
    """Run all cases; one that raises hands over its error."""
    side = importlib.import_module(f"tests.frameworks.sides.{name}")
    found = {}
    for case, run in side.CASES.items():
        try:
            found[case] = run()
        except Exception as error:
            found[case] = f"{type(error).__name__}: {error}"
    Path(path).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
