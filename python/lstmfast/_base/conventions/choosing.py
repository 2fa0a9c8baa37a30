"""Which of a row's forms arrays have, how large the layer is, and whether every array is there and fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..checks import AnyArray
from .forms import STATES, Array, Form, Sizes

# What is there together or not at all.
_GROUPS = (("b", "bh"), ("p",), ("r",), STATES)


def fitted(
    arrays: Mapping[str, AnyArray], forms: Sequence[Form], called: str, convention: str
) -> tuple[Form, Sizes]:
    """Find the first form that arrays have, without what is missing of it, and the layer's sizes.

    Parameters
    ----------
    arrays
        By name.
    forms
        At least one. The first is what messages compare with if none fits.
    called, convention
        What messages call them.

    Raises
    ------
    ValueError
        If no form fits; the message names the array that does not fit the first form of these names.
    """
    first: ValueError | None = None
    for form in sorted(forms, key=lambda form: not _has_names(form, arrays)):
        try:
            present = _present(form, arrays, called, convention)
            return present, _checked(present, arrays, called, convention)
        except ValueError as error:
            first = first or error
    assert first is not None
    raise first


def _has_names(form: Form, arrays: Mapping[str, AnyArray]) -> bool:
    names = {array.name for array in form.arrays}
    return names >= set(arrays) >= {array.name for array in form.arrays if not array.optional}


def _present(form: Form, arrays: Mapping[str, AnyArray], called: str, convention: str) -> Form:
    """Leave out groups of which nothing came."""
    for group in _GROUPS:
        if not any(array.name in arrays for array in form.having(*group)):
            form = form.without(*group)
    names = [array.name for array in form.arrays]
    missing = [name for name in names if name not in arrays]
    unexpected = [name for name in arrays if name not in names]
    if missing or unexpected:
        came = "; ".join(
            f"{what} {listed(wrong)}"
            for what, wrong in (("unexpected", unexpected), ("missing", missing))
            if wrong
        )
        raise ValueError(f"{called}: expected the names {listed(names)} of {convention!r}, got {came}")
    return form


def listed(names: Sequence[str]) -> str:
    """Name things, the first twelve of them."""
    shown = ", ".join(map(str, names[:12]))
    return f"{shown} and {len(names) - 12} more" if len(names) > 12 else shown or "none"


def _checked(form: Form, arrays: Mapping[str, AnyArray], called: str, convention: str) -> Sizes:
    def wrong(array: Array, expected: str) -> ValueError:
        return ValueError(
            f"{called}[{array.name!r}]: expected shape {expected} for {convention!r},"
            f" got {arrays[array.name].shape}"
        )

    for array in form.arrays:
        shape = arrays[array.name].shape
        if len(shape) != array.rank or 0 in shape:
            raise wrong(array, array.symbols())
    sizes = _sizes(form, arrays)
    if isinstance(sizes, Array):
        raise wrong(sizes, sizes.symbols())
    for array in form.arrays:
        expected = array.shape(sizes)
        if arrays[array.name].shape != expected:
            raise wrong(array, f"{expected} {array.symbols()}")
    return sizes


def _sizes(form: Form, arrays: Mapping[str, AnyArray]) -> Sizes | Array:
    """Read sizes off the arrays; where that cannot be, return the array in whose way it is."""
    array = next(form.having("x"))
    shape = arrays[array.name].shape
    (part,) = (part for part in array.parts if part.of == "x")
    if part.apart:
        H = shape[part.axes.index("H")]
    else:
        H, rest = divmod(shape[part.axes.index(part.gates)], len(part.gates))
        if rest or not H:
            return array
    P = 0
    for projection in form.having("r"):
        P = arrays[projection.name].shape[projection.parts[0].axes.index("P")]
        if P >= H:
            return projection
    inputs = shape[part.axes.index("I")]
    if any(other.of == "h" for other in array.parts):
        inputs -= P or H
    return Sizes(inputs, H, P) if inputs > 0 else array
