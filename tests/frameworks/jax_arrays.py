"""Arrays of JAX, traced, through every form of the table: run as a program, in a process of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstmfast._base.conventions import walking
from lstmfast._base.conventions.forms import Form, Sizes
from lstmfast._base.conventions.table import TABLE

from ..helpers import Array, random


def check(form: Form, kind: str) -> None:
    """Compare what is made under jit, both ways, with what NumPy's arrays give."""
    import jax

    sizes = Sizes(3, 4, 2 if "r" in form.parts else 0)
    theirs = {array.name: random(array.shape(sizes), seed=k) for k, array in enumerate(form.arrays)}
    ours = walking.read(theirs, form, kind, sizes)
    compare(jax.jit(lambda arrays: walking.read(arrays, form, kind, sizes))(theirs), ours)

    def written(arrays: Any) -> Any:
        return walking.written(arrays, form, kind, sizes)

    if kind == "GRU" and form.reset_after and "n" not in form.parts.get("bh", ""):
        try:  # whether a bias that would be lost is 0 cannot be known
            jax.jit(written)(ours)
        except jax.errors.TracerBoolConversionError:
            return
        raise AssertionError("a bias was lost without a word")
    compare(jax.jit(written)(ours), theirs)


def compare(found: dict[str, Any], expected: dict[str, Array]) -> None:
    """Compare arrays by name."""
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(np.asarray(found[name]), array)


if __name__ == "__main__":
    count = 0
    for row in TABLE.values():
        for kind, forms in row.forms.items():
            for each in forms:
                check(each, kind)
                count += 1
    print(count)
