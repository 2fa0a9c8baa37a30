"""Shapes of one's own, as `--shapes` takes them."""

from __future__ import annotations

import os

from .cases import CELLS, Case, Cell, Work

__all__ = ["FORM", "parse"]

FORM = (
    "T=100,B=1,I=64,H=64[,layers=2][,directions=2][,train=1][,cell=gru][,valid=65][,reset=1][,recompute=1]"
    "[,pool=1][,stepwise=1]"
)
_SIZES = ("T", "B", "I", "H")
# The most of each; of the sizes it is a million, memory permitting. Those that may be 0 as well as 1.
_MOST = {
    "layers": 64,
    "directions": 2,
    "train": 1,
    "valid": 100,
    "reset": 100,
    "recompute": 1,
    "pool": 1,
    "stepwise": 1,
}
_MAY_BE_0 = {"train", "reset", "recompute", "pool", "stepwise"}
_UNKNOWN_MEMORY = 8 << 30


def parse(text: str) -> tuple[Case, ...]:
    """Read one shape, or several with `;` between them. T=1 is measured as a step, its state carried on.

    Raises
    ------
    ValueError
        If there is none, a part is not `name=value`, a name is unknown, missing or given twice, a number is
        out of range, no lengths have that percentage of valid steps, rows that start anew have one step or
        lengths, or so few places that none is one of them, gates are to be recomputed without training, a
        pool is to do anything but step forward, steps are to be calls of their own in more than one layer or
        direction, or in anything but a step and plain training, or the float64 reference would need more
        than half of this machine's memory.
    """
    cases = tuple(_one(part.strip()) for part in text.split(";") if part.strip())
    if not cases:
        raise ValueError(f"expected {FORM}, got {text!r}")
    return cases


def _one(text: str) -> Case:
    given: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in (*_SIZES, *_MOST, "cell"):
            raise ValueError(f"expected {FORM}, got {text!r}: {part.strip()!r} is not part of a shape")
        if name in given:
            raise ValueError(f"expected {FORM}, got {text!r}: {name} is there twice")
        given[name] = value
    cell = _cell(given.pop("cell", "lstm"), text)
    values = {name: _number(name, value, text) for name, value in given.items()}
    if missing := [name for name in _SIZES if name not in values]:
        raise ValueError(f"expected {FORM}, got {text!r}: no {missing[0]}")
    train = values.pop("train", 0)
    pool = values.pop("pool", 0)
    work: Work = "train" if train else "pool" if pool else "step" if values["T"] == 1 else "sequence"
    case = Case(
        values["T"],
        values["B"],
        values["I"],
        values["H"],
        values.get("layers", 1),
        values.get("directions", 1),
        work,
        cell,
        values.get("valid", 100),
        values.get("reset", 0),
        bool(values.get("recompute", 0)),
        bool(values.get("stepwise", 0)),
    )
    if case.valid < 100 and not case.T + case.B - 1 <= case.steps < case.T * case.B:
        raise ValueError(
            f"{text!r}: expected valid to leave T steps of one row, some of each other and less than T*B in"
            f" all, got {case.valid} %: {case.steps} of {case.T * case.B}"
        )
    if case.reset and (case.T == 1 or case.valid < 100 or not case.starts):
        raise ValueError(
            f"{text!r}: expected reset where T is more than 1, valid is 100 and at least one of T*B places is"
            f" chosen, got {case.reset} %: {case.starts} of {case.T * case.B}"
        )
    if pool and (train or case.T > 1 or case.directions > 1):
        raise ValueError(f"{text!r}: expected T=1, one direction and no training with pool=1: streams step")
    if case.recompute and not train:
        raise ValueError(f"{text!r}: expected train=1 with recompute=1: only training keeps gates")
    plain = case == Case(case.T, case.B, case.I, case.H, work=work, cell=cell, stepwise=True)
    if case.stepwise and not (plain and work in {"step", "train"}):
        raise ValueError(
            f"{text!r}: expected T=1 or train=1 with stepwise=1, and one layer and direction: step modules"
        )
    memory = _memory()
    if case.reference_bytes > memory // 2:
        raise ValueError(
            f"{text!r}: checking it takes about {case.reference_bytes / 2**30:.1f} GiB, "
            f"expected at most half of this machine's {memory / 2**30:.1f} GiB"
        )
    return case


def _cell(name: str, text: str) -> Cell:
    if name in CELLS:
        return name
    raise ValueError(f"expected {', '.join(CELLS[:-1])} or {CELLS[-1]} for cell in {text!r}, got {name!r}")


def _number(name: str, digits: str, text: str) -> int:
    low, high = int(name not in _MAY_BE_0), _MOST.get(name, 1_000_000)
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
