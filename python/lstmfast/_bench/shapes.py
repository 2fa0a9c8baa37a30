"""Shapes of one's own, as `--shapes` takes them."""

from __future__ import annotations

import os

from .cases import Case, Work

__all__ = ["FORM", "parse"]

FORM = "T=100,B=1,I=64,H=64[,layers=2][,directions=2][,train=1]"
_SIZES = ("T", "B", "I", "H")
_MOST = {"layers": 64, "directions": 2, "train": 1}  # of the sizes: a million, memory permitting
_UNKNOWN_MEMORY = 8 << 30


def parse(text: str) -> tuple[Case, ...]:
    """Read one shape, or several with `;` between them. T=1 is measured as a step, its state carried on.

    Raises
    ------
    ValueError
        If there is none, a part is not `name=number`, a name is unknown, missing or given twice, a number is
        out of range, or the float64 reference would need more than half of this machine's memory.
    """
    cases = tuple(_one(part.strip()) for part in text.split(";") if part.strip())
    if not cases:
        raise ValueError(f"expected {FORM}, got {text!r}")
    return cases


def _one(text: str) -> Case:
    values: dict[str, int] = {}
    for part in text.split(","):
        name, equals, digits = (piece.strip() for piece in part.partition("="))
        if not equals or name not in (*_SIZES, *_MOST):
            raise ValueError(f"expected {FORM}, got {text!r}: {part.strip()!r} is not part of a shape")
        if name in values:
            raise ValueError(f"expected {FORM}, got {text!r}: {name} is there twice")
        values[name] = _number(name, digits, text)
    if missing := [name for name in _SIZES if name not in values]:
        raise ValueError(f"expected {FORM}, got {text!r}: no {missing[0]}")
    train = values.pop("train", 0)
    work: Work = "train" if train else "step" if values["T"] == 1 else "sequence"
    case = Case(
        values["T"],
        values["B"],
        values["I"],
        values["H"],
        values.get("layers", 1),
        values.get("directions", 1),
        work,
    )
    memory = _memory()
    if case.reference_bytes > memory // 2:
        raise ValueError(
            f"{text!r}: checking it takes about {case.reference_bytes / 2**30:.1f} GiB, "
            f"expected at most half of this machine's {memory / 2**30:.1f} GiB"
        )
    return case


def _number(name: str, digits: str, text: str) -> int:
    low, high = int(name != "train"), _MOST.get(name, 1_000_000)
    # int() takes more than anybody means, such as "1_0".
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9 and low <= int(digits) <= high):
        raise ValueError(
            f"expected a whole number from {low} to {high} for {name} in {text!r}, got {digits!r}"
        )
    return int(digits)


def _memory() -> int:
    """Return this machine's memory in bytes, or a modest guess."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN_MEMORY
