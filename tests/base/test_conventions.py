"""The table of conventions, and what walks it: every row whole, and every number where it belongs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from lstmfast._base.conventions import engines, frameworks, walking
from lstmfast._base.conventions.forms import Form, Sizes, form
from lstmfast._base.conventions.orders import OURS
from lstmfast._base.conventions.table import TABLE

from ..helpers import Array, assert_same_bits, random

SIZES = Sizes(I=3, H=4)
PROJECTED = Sizes(I=3, H=4, P=2)


def forms() -> Iterator[tuple[str, str, Form]]:
    for row in TABLE.values():
        for kind, found in row.forms.items():
            for each in found:
                yield row.name, kind, each


FORMS = list(forms())
IDS = [f"{name} {kind} {k}" for k, (name, kind, _) in enumerate(FORMS)]


def arrays_of(each: Form, sizes: Sizes) -> dict[str, Array]:
    return {array.name: random(array.shape(sizes), seed=k) for k, array in enumerate(each.arrays)}


def sizes_of(each: Form) -> Sizes:
    return PROJECTED if "r" in each.parts else SIZES


def test_names_are_one_each() -> None:
    assert len(TABLE) == len(frameworks.ROWS) + len(engines.ROWS)
    assert all(row.forms and row.title for row in TABLE.values())


@pytest.mark.parametrize(("name", "kind", "each"), FORMS, ids=IDS)
def test_forms_are_whole(name: str, kind: str, each: Form) -> None:
    """Each gate has its weights once, and where there are biases, its bias."""
    letters = sorted(OURS.gates[kind])
    assert sorted(each.parts["x"]) == sorted(each.parts["h"]) == letters
    assert sorted(each.parts.get("b", letters)) == letters
    assert set(each.parts.get("bh", "")) <= set(letters)
    assert sorted(each.parts.get("p", OURS.peepholes)) == sorted(OURS.peepholes)
    assert len({array.name for array in each.arrays}) == len(each.arrays)


@pytest.mark.parametrize(("name", "kind", "each"), FORMS, ids=IDS)
def test_there_and_back(name: str, kind: str, each: Form) -> None:
    """Theirs to the bit, the offset of the forget gate and signs of the update gate included."""
    sizes = sizes_of(each)
    theirs = arrays_of(each, sizes)
    ours = walking.read(theirs, each, kind, sizes)
    rows = len(OURS.gates[kind]) * sizes.H
    assert ours["weight_ih"].shape == (rows, sizes.I)
    assert ours["weight_hh"].shape == (rows, sizes.S)
    assert_same_bits(walking.written(ours, each, kind, sizes), theirs)


@pytest.mark.parametrize(("name", "kind", "each"), FORMS, ids=IDS)
def test_back_and_there(name: str, kind: str, each: Form) -> None:
    """Ours come back but for the two biases, whose sum does; those of a GRU's n where r comes between."""
    sizes = sizes_of(each)
    rows = len(OURS.gates[kind]) * sizes.H
    ours = {"weight_ih": random((rows, sizes.I)), "weight_hh": random((rows, sizes.S), seed=1)}
    if "b" in each.parts:
        ours |= {"bias_ih": random((rows,), seed=2), "bias_hh": random((rows,), seed=3)}
    if "p" in each.parts:
        ours["weight_ch"] = random((3, sizes.H), seed=4)
    if "r" in each.parts:
        ours["weight_hr"] = random((sizes.P, sizes.H), seed=5)
    alone = kind == "GRU" and each.reset_after and "n" not in each.parts.get("bh", "")
    if alone:
        with pytest.raises(ValueError, match="expected zeros for n"):
            walking.written(ours, each, kind, sizes)
        ours["bias_hh"][2 * sizes.H :] = 0
    found = walking.read(walking.written(ours, each, kind, sizes), each, kind, sizes)
    for of in ("weight_ih", "weight_hh", "weight_ch", "weight_hr"):
        if of in ours:
            assert_same_bits(found[of], ours[of])
    if "b" in each.parts:
        total = found["bias_ih"] + found["bias_hh"]
        np.testing.assert_allclose(total, ours["bias_ih"] + ours["bias_hh"], rtol=0, atol=1e-6)
    if kind == "GRU" and each.reset_after and not alone:
        for of in ("bias_ih", "bias_hh"):
            assert_same_bits(found[of][2 * sizes.H :], ours[of][2 * sizes.H :])


# By hand: one unit and one input, so that each number is a block.


def test_every_place_is_what_the_line_says() -> None:
    each = form("w = x[I, gi] + h[S, gi] @0", "u = x[fo, I]", "v = h[fo, S]", "b = b[ofig]")
    theirs = {
        "w": np.array([[1.0, 2.0], [3.0, 4.0]]),
        "u": np.array([[5.0], [6.0]]),
        "v": np.array([[7.0], [8.0]]),
        "b": np.array([9.0, 10.0, 11.0, 12.0]),
    }
    ours = walking.read(theirs, each, "LSTM", Sizes(1, 1))
    assert ours["weight_ih"].ravel().tolist() == [2, 5, 1, 6]  # i, f, g, o
    assert ours["weight_hh"].ravel().tolist() == [4, 7, 3, 8]
    assert ours["bias_ih"].tolist() == [11, 10, 12, 9]
    assert ours["bias_hh"].tolist() == [0, 0, 0, 0]


def test_offset_of_the_forget_gate() -> None:
    each = form("w = x[I, ifgo]", "u = h[S, ifgo]", "b = b[ifgo]", forget_offset=1.0)
    b = np.array([0.1, 1e-9, 0.3, 0.4], np.float32)  # which 1 added and taken away again would not leave
    weight = np.ones((1, 4), np.float32)
    ours = walking.read({"w": weight, "u": weight, "b": b}, each, "LSTM", Sizes(1, 1))
    assert ours["bias_hh"].tolist() == [0, 1, 0, 0]
    assert_same_bits(ours["bias_ih"], b)
    assert_same_bits(walking.written(ours, each, "LSTM", Sizes(1, 1))["b"], b)
    none = {name: ours[name] for name in ("weight_ih", "weight_hh")}
    assert walking.written(none, each, "LSTM", Sizes(1, 1))["b"].tolist() == [0, -1, 0, 0]


def test_an_update_gate_that_means_the_opposite() -> None:
    each = form("w = x[I, zrn]", "u = h[S, zrn]", "b = b[zrn]", reset_after=False, inverted=True)
    theirs = {"w": np.array([[1.0, 2, 3]]), "u": np.array([[4.0, 5, 6]]), "b": np.array([7.0, 8, 9])}
    ours = walking.read(theirs, each, "GRU", Sizes(1, 1))
    assert ours["weight_ih"].ravel().tolist() == [2, -1, 3]
    assert ours["weight_hh"].ravel().tolist() == [5, -4, 6]
    assert ours["bias_ih"].tolist() == [8, -7, 9]


@pytest.mark.parametrize(("name", "kind", "each"), FORMS, ids=IDS)
def test_gradients_are_the_adjoint(name: str, kind: str, each: Form) -> None:
    """<gradient by ours, what a change of theirs changes ours by> = <gradient by theirs, that change>."""
    sizes = sizes_of(each)
    zero = {array.name: np.zeros(array.shape(sizes)) for array in each.arrays}
    change = {key: random(array.shape, "float64", seed=50 + k) for k, (key, array) in enumerate(zero.items())}
    before, after = (walking.read(at, each, kind, sizes) for at in (zero, change))
    gradient = {key: random(array.shape, "float64", seed=k) for k, (key, array) in enumerate(before.items())}
    if "bh" not in each.parts and "b" in each.parts:
        gradient["bias_hh"] = gradient["bias_ih"]  # of both, as of any two biases that are added
    by_theirs = walking.written(gradient, each, kind, sizes, gradients=True)
    changed = {key: after[key] - before[key] for key in before}
    assert sum((gradient[key] * changed[key]).sum() for key in before) == pytest.approx(
        sum((by_theirs[key] * change[key]).sum() for key in change)
    )


@pytest.mark.parametrize("line", ["kernel", "kernel: x[I, ifgo]", "kernel = "])
def test_lines_that_say_nothing(line: str) -> None:
    with pytest.raises(ValueError, match="expected name = part"):
        form(line)
