"""Weights of those that do not install here make our layers compute what their published formulas say."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast._base.conventions import table
from lstmfast._base.conventions.forms import Array as Theirs
from lstmfast._base.conventions.forms import Form

from ..helpers import assert_same_bits
from . import engines, frameworks
from .formulas import Case, X

CASES = [*engines.CASES, *frameworks.CASES]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.called)


def outputs(case: Case) -> Any:
    rest: dict[str, Any] = {}
    layer = getattr(lstmfast, case.kind).from_weights(case.arrays, case.convention, rest=rest, **case.options)
    state = None
    if "h_0" in rest:
        state = rest["h_0"], rest["c_0"]
    return layer(X, state)[0]


@each_case
def test_outputs(case: Case) -> None:
    np.testing.assert_allclose(outputs(case), case.y, rtol=0, atol=case.tolerance)
    assert np.abs(case.y).mean() > 0.1


@each_case
def test_another_row_would_be_found_out(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two gates exchanged, or anything else in the row turned round, outputs are others."""
    row = table.TABLE[case.convention]
    mutants = [  # all made before the table is touched
        dataclasses.replace(row, forms={**row.forms, case.kind: forms})
        for forms in wrong(row.forms[case.kind], case.kind, case)
    ]
    assert mutants or case.kind == "RNN"
    for mutant in mutants:
        monkeypatch.setitem(table.TABLE, row.name, mutant)
        assert np.abs(outputs(case) - case.y).max() > 1e-3


def wrong(forms: tuple[Form, ...], kind: str, case: Case) -> Iterator[tuple[Form, ...]]:
    """Forms that are wrong all alike, in one point."""
    for a, b in combinations({"LSTM": "ifgo", "GRU": "rzn", "RNN": ""}[kind], 2):
        if kind == "GRU" and "n" in (a, b) and any(form.parts.get("bh") == "n" for form in forms):
            continue  # the second bias has no other place to be
        yield tuple(form.of(tuple(swapped(array, a, b) for array in form.arrays)) for form in forms)
    if kind == "GRU":
        yield tuple(dataclasses.replace(form, inverted=not form.inverted) for form in forms)
    if has_peepholes(case):
        for a, b in combinations("ifo", 2):
            yield tuple(form.of(tuple(swapped(array, a, b, "p") for array in form.arrays)) for form in forms)
    if kind == "LSTM" and "forget_bias" not in case.options:
        yield tuple(form.adding(form.forget_offset + 0.5) for form in forms)


def has_peepholes(case: Case) -> bool:
    layer = getattr(lstmfast, case.kind).from_weights(case.arrays, case.convention, rest={}, **case.options)
    return bool(layer.peephole)


def swapped(array: Theirs, a: str, b: str, of: str = "") -> Theirs:
    """Exchange two gates, of all parts but peepholes, or of one sort of them."""
    letters = str.maketrans(a + b, b + a)
    parts = tuple(
        part
        if (part.of != of if of else part.of == "p")
        else dataclasses.replace(
            part, axes=tuple(axis.translate(letters) if axis.islower() else axis for axis in part.axes)
        )
        for part in array.parts
    )
    return dataclasses.replace(array, parts=parts)


@each_case
def test_there_and_back(case: Case) -> None:
    """What was read is written again, to the bit."""
    cls = getattr(lstmfast, case.kind)
    layer = cls.from_weights(case.arrays, case.convention, rest={}, **case.options)
    more = {name: case.options[name] for name in ("prefix", "forget_bias") if name in case.options}
    written = layer.to_weights(case.convention, rest=case.rest, **more)
    assert_same(written, case.arrays if case.written is None else case.written)


def assert_same(actual: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        names = {name.removesuffix(":0"): each for name, each in expected.items()}
        assert set(actual) == set(names)
        for name, each in names.items():
            assert_same(actual[name], each)
    elif isinstance(expected, (list, tuple)):
        assert type(actual) is type(expected)
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, np.ndarray):
        assert_same_bits(actual, expected)
    else:
        assert actual == expected


def test_every_row_is_proved() -> None:
    """By a formula here, or by its framework."""
    by_framework = {
        "pytorch",
        "pytorch-cell",
        "keras",
        "flax",
        "flax-nnx",
        "flax-nnx-optimized",
        "haiku",
        "equinox",
        "onnx",
    }
    assert {case.convention for case in CASES} | by_framework == set(table.TABLE)
