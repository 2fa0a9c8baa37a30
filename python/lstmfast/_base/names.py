"""Under which modules pickles find our classes: `lstmfast` itself for what is public, wherever a wing has it.

So a class may move, as all did after 0.1.0, and pickles go from version to version in both directions. Those
of 0.1.0 name that version's modules, and these are other names of today's.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Collection, Mapping

# Of 0.1.0 and today. `_streams` is the same.
_MOVED = {
    "_comparison": "_small.comparison",
    "_gradient_flow": "training._gradient_flow",
    "_lstm": "_layers.lstm",
    "_quantized": "_layers.quantized",
    "_rnn": "_layers.rnn",
    "_tape": "_layers.tape",
}


def settle(package: str, public: Collection[str], members: Mapping[str, object]) -> None:
    """Let a package's public classes say that they are its own, and its former modules be found."""
    for name in public:
        value = members[name]
        if inspect.isclass(value):
            value.__module__ = package
    for before, now in _MOVED.items():
        sys.modules[f"{package}.{before}"] = sys.modules[f"{package}.{now}"]
