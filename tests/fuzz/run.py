"""Fuzz one target by atheris: `python -m tests.fuzz.run TARGET [libFuzzer's options and folders]`."""

from __future__ import annotations

import importlib
import sys
import warnings


def main() -> None:
    import atheris  # type: ignore[import-untyped]

    name = sys.argv.pop(1)
    warnings.simplefilter("error", RuntimeWarning)  # NumPy's, of what we should have told it not to mind
    # For good: some of our modules are imported when they are first asked for.
    atheris.instrument_imports(include=["lstmfast"]).__enter__()
    target = importlib.import_module(f"tests.fuzz.targets.{name}")
    atheris.Setup(sys.argv, target.one, enable_python_coverage=True)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
