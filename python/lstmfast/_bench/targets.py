"""What some suites are to show, and whether they did: how many times faster than others, in which rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .cases import Case, Work
from .engines import BEHIND_TORCH, INSIDE, OURS
from .limits import geometric_mean
from .results import Report, Row

__all__ = ["TARGETS", "Outcome", "Target", "outcomes", "to_json"]


@dataclass(frozen=True)
class Target:
    """So many times faster than the fastest other float32 engine, or than one that is named."""

    rows: str  # which, in words
    least: float
    holds: Callable[[Case], bool]  # which
    mean: bool = False  # in the geometric mean of these rows; else in every one
    rival: str | None = None
    engine: str | None = None  # of ours, where it is no other's


@dataclass(frozen=True)
class Outcome:
    """What became of a target, for lstmfast itself, behind PyTorch's modules or inside others."""

    suite: str
    target: Target
    engine: str
    rival: str | None  # None: in each row the fastest
    value: float  # the geometric mean, or that of the slowest row
    slowest: Case  # of these rows, the one with the smallest ratio
    count: int  # rows in which both were measured

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        return self.value >= self.target.least


def _steps(case: Case) -> bool:
    return case.work == "step"


def _trained_whole(case: Case) -> bool:
    return case.work == "train" and case.valid == 100


_LOOPS: tuple[Work, Work] = ("predict", "fit")
_EVERY_ROW = Target("every row", 1.0, lambda case: True)
_STEPS = (
    Target("single steps, H of up to 40", 8.0, lambda case: _steps(case) and case.B == 1 and case.H <= 40),
    Target("single steps, H=64", 4.0, lambda case: _steps(case) and case.B == 1 and case.H == 64),
    Target("single steps, H=128", 2.0, lambda case: _steps(case) and case.B == 1 and case.H == 128),
)
_TRAINING = Target("training", 1.6, _trained_whole, mean=True)


def _in_keras(backend: str, work: Work, words: str, least: float) -> Target:
    """Of the shape that Keras' users complain of: an LSTM, T=100, B=16, I=H=64."""
    shape = Case(100, 16, 64, 64, work=work, suite="keras")
    return Target(words, least, lambda case: case == shape, engine=f"lstmfast in Keras {backend}")


TARGETS: Mapping[str, tuple[Target, ...]] = {
    "gru": (
        _EVERY_ROW,
        Target("inference", 1.5, lambda case: case.work == "sequence", mean=True),
        *_STEPS,
        _TRAINING,
        Target(
            "training with lengths, beside PackedSequence",
            5.0,
            lambda case: case.work == "train" and case.valid < 100,
            rival="PyTorch",
        ),
    ),
    "cells": (_EVERY_ROW, *_STEPS, _TRAINING),
    "onnx": (
        Target("single steps, H of 24 to 64", 1.8, lambda case: _steps(case) and case.H <= 64),
        Target("single steps, H=128", 1.5, lambda case: _steps(case) and case.H == 128),
        Target("sequences, T=100, B=1", 1.3, lambda case: case.work == "sequence" and case.T == 100),
        Target("sequences, T=50", 1.0, lambda case: case.work == "sequence" and case.T == 50),
        Target("chains", 3.0, lambda case: case.work == "chain"),
    ),
    "keras": tuple(
        _in_keras(backend, work, f"{work}, T=100, B=16, I=H=64", least)
        for backend, aims in {"torch": (15.0, 8.0), "JAX": (1.5, 1.5), "TensorFlow": (3.0, 3.0)}.items()
        for work, least in zip(_LOOPS, aims, strict=True)
    ),
    "jax": (
        _EVERY_ROW,
        Target("forward", 1.5, lambda case: case.work == "sequence", mean=True),
        Target("forward and gradients", 1.5, lambda case: case.work == "train", mean=True),
    ),
}
# Who is held against whom, None being the fastest other engine.
_CONTEST: Mapping[str, str | None] = dict.fromkeys((OURS, *BEHIND_TORCH))
_CONTESTS: Mapping[str, Mapping[str, str | None]] = INSIDE


def outcomes(report: Report) -> list[Outcome]:
    """Return what became of every target that has rows in a report, suite by suite."""
    return [
        found
        for suite, rows in report.suites.items()
        for engine, rival in _CONTESTS.get(suite, _CONTEST).items()
        for target in TARGETS.get(suite, ())
        if target.engine in (None, engine)
        for found in _outcome(report, suite, rows, engine, target, target.rival or rival)
    ]


def _outcome(
    report: Report, suite: str, rows: list[Row], engine: str, target: Target, rival: str | None
) -> Iterator[Outcome]:
    ratios: list[tuple[float, Row]] = []
    for row in rows:
        other = rival or report.fastest_other(row)
        ratio = None if other is None or not target.holds(row.case) else row.ratio(other, engine)
        if ratio is not None:
            ratios.append((ratio, row))
    if ratios:
        least, slowest = min(ratios, key=lambda pair: pair[0])
        value = geometric_mean([ratio for ratio, _ in ratios]) if target.mean else least
        yield Outcome(suite, target, engine, rival, value, slowest.case, len(ratios))


def to_json(report: Report) -> list[dict[str, Any]]:
    """Return the same as JSON holds it."""
    return [
        {
            "suite": found.suite,
            "engine": found.engine,
            "rows": found.target.rows,
            "rival": found.rival or "fastest_other",
            "least": found.target.least,
            "geometric_mean": found.target.mean,
            "value": found.value,
            "met": found.met,
            "slowest": found.slowest.label,
            "count": found.count,
        }
        for found in outcomes(report)
    ]
