"""Every row both ways: layers of every form, gradients, and the page that lists them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast._base.conventions import one, table, walking
from lstmfast._base.conventions.forms import Form, Sizes
from lstmfast._base.conventions.orders import OURS

from ..helpers import ROOT, assert_same_bits, random

I, H, P = 3, 4, 2
HEAD = {"head_weight": np.ones(H), "head_bias": np.ones(1)}

FORMS = [
    pytest.param(row.name, kind, form, id=f"{row.name} {kind} {k}")
    for row in table.TABLE.values()
    for kind, forms in row.forms.items()
    for k, form in enumerate(forms)
]


def theirs(form: Form, sizes: Sizes, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays of a form's shapes, no two alike."""
    generator = np.random.default_rng(seed)
    return {array.name: generator.standard_normal(array.shape(sizes)) for array in form.arrays}


def sizes_of(form: Form) -> Sizes:
    return Sizes(I, H, P if "r" in form.parts else 0)


@pytest.mark.parametrize(("name", "kind", "form"), FORMS)
def test_lines_are_whole(name: str, kind: str, form: Form) -> None:
    """Every gate once, of x, h and, where there is one, b."""
    letters = sorted(OURS.gates[kind])
    for of in ("x", "h", "b"):
        if of != "b" or "b" in form.parts:
            assert sorted(form.parts[of]) == letters
    assert sorted(form.parts.get("p", "ifo")) == sorted("ifo")
    assert form.parts.get("bh", "") in ("", "n") or sorted(form.parts["bh"]) == letters


@pytest.mark.parametrize(("name", "kind", "form"), FORMS)
def test_there_and_back(name: str, kind: str, form: Form) -> None:
    """Every number of every array, to the bit."""
    arrays = theirs(form, sizes_of(form))
    ours = walking.read(arrays, form, kind, sizes_of(form))
    again = walking.written(ours, form, kind, sizes_of(form))
    assert list(again) == list(arrays)
    for array in arrays:
        assert_same_bits(np.ascontiguousarray(again[array]), arrays[array])


@pytest.mark.parametrize(("name", "kind", "form"), FORMS)
def test_gradients_are_the_adjoint(name: str, kind: str, form: Form) -> None:
    """What a change of their arrays changes in ours, times ours' gradients, is it times theirs."""
    sizes = sizes_of(form)
    here, there = theirs(form, sizes, 1), theirs(form, sizes, 2)
    before, after = (walking.read(arrays, form, kind, sizes) for arrays in (here, there))
    generator = np.random.default_rng(3)
    by_ours = {each: generator.standard_normal(array.shape) for each, array in before.items()}
    by_theirs = walking.written(by_ours, form, kind, sizes, gradients=True)
    change_of_ours = sum(np.sum((after[each] - before[each]) * by_ours[each]) for each in before)
    change_of_theirs = sum(np.sum((there[each] - here[each]) * by_theirs[each]) for each in here)
    assert change_of_ours == pytest.approx(change_of_theirs)


def layers(kind: str) -> Iterator[Any]:
    """Layers in all that conventions can differ in."""
    own: dict[str, list[dict[str, Any]]] = {
        "LSTM": [{"peephole": True}, {"proj_size": P}],
        "GRU": [{"reset_after": False}],
        "RNN": [],
    }
    for options in ({}, {"bias": False}, *own[kind]):
        for L in (1, 2):
            for both in (False, True):
                yield getattr(lstmfast, kind)(I, H, L, bidirectional=both, seed=1, **options)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("name", table.TABLE)
def test_layers(name: str, kind: str) -> None:
    """What a layer's weights are written to is read as a layer that computes the same, or refused."""
    x = random((5, 2, I))
    written = 0
    for layer in layers(kind):
        if kind not in table.TABLE[name].forms:
            with pytest.raises(ValueError, match=f"expected one with a {kind}, got '{name}'"):
                layer.to_weights(name)
            continue
        arrays = try_to_write(layer, name)
        if arrays is None:
            continue
        written += 1
        options: dict[str, Any] = {"nonlinearity": "tanh"} if kind == "RNN" else {}
        if kind == "GRU":
            options["reset_after"] = layer.reset_after
        if name == "cudnn":
            options |= {"input_size": I, "hidden_size": H, "num_layers": layer.num_layers}
            options |= {"bias": layer.bias, "bidirectional": layer.bidirectional}
        other = type(layer).from_weights(arrays, name, rest={}, **options)
        assert other.num_layers == layer.num_layers
        assert (other.bidirectional, other.proj_size) == (layer.bidirectional, layer.proj_size)
        assert other.peephole == layer.peephole
        np.testing.assert_allclose(other(x)[0], layer(x)[0], rtol=0, atol=3e-7)
    assert written >= 2 or kind not in table.TABLE[name].forms


def try_to_write(layer: Any, name: str) -> Any:
    """Write a layer, without its second bias of n if theirs has none; None if it is refused."""
    rest = HEAD if name == "nam" else None
    for _ in range(2):
        try:
            return layer.to_weights(name, rest=rest)
        except ValueError as error:
            refused = str(error)
        layer.update({each: 0 * array for each, array in layer.parameters.items() if "bias_hh" in each})
    assert re.search(r"without (peepholes|a projection)|reset_after|one direction", refused)
    return None


def test_one_layer_of_any_namespace() -> None:
    """Wings that keep another's arrays turn them by these two."""
    form = table.TABLE["haiku"].forms["GRU"][0]
    arrays = theirs(form, Sizes(I, H))
    ours, found, sizes = one.to_ours(arrays, "haiku", "GRU")
    assert (found, sizes) == (form, Sizes(I, H))
    assert_same_bits(ours["weight_ih"][H : 2 * H], np.ascontiguousarray(-arrays["w_i"][:, :H].T))
    for name, array in one.to_theirs(ours, found, "GRU", sizes).items():
        assert_same_bits(np.ascontiguousarray(array), arrays[name])
    with pytest.raises(ValueError, match="reset_after: expected False for 'haiku'"):
        one.to_ours(arrays, "haiku", "GRU", reset_after=True)


def test_the_page_lists_the_rows() -> None:
    """docs/conventions.md is found by search, and names what there is and nothing else."""
    page = (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8")
    section = page.partition("## All conventions")[2].partition("\n## ")[0]
    named = re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE)
    assert sorted(named) == sorted(table.TABLE)
