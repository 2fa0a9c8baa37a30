"""How the arrays of one layer are named: mappings within mappings, lists, attributes of an object."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .. import checks
from ..checks import AnyArray
from .convention import Convention
from .forms import Form
from .namespaces import Numbers

_OUTPUT = re.compile(r":0$")  # behind TensorFlow's names of variables


def flat(
    value: object,
    called: str,
    forms: Sequence[Form],
    prefix: str = "",
    take: Callable[[object, str], Any] = checks.weight,
) -> dict[str, Any]:
    """Read the arrays of a mapping, or an object's attributes, by names without prefix, `/` between parts.

    take: what makes an array of each, given what messages call it.

    Raises
    ------
    TypeError
        If it is none of these, or a value is no array of real numbers.
    ValueError
        If no name begins with prefix.
    """
    found = dict(_leaves(value, called) if isinstance(value, Mapping) else _attributes(value, forms))
    found = {_OUTPUT.sub("", name): leaf for name, leaf in found.items()}
    taken = {name[len(prefix) :]: leaf for name, leaf in found.items() if name.startswith(prefix)}
    if found and not taken:
        raise ValueError(f"prefix: expected what names in {called} begin with, got {prefix!r}")
    return {
        name: take(leaf, f"{called}[{prefix + name!r}]") for name, leaf in taken.items() if leaf is not None
    }


def _leaves(value: Mapping[object, object], called: str) -> Iterator[tuple[str, object]]:
    for key, inner in value.items():
        if not isinstance(key, str):
            raise TypeError(f"{called}: expected names that are strings, got {checks.shown(key)}")
        if isinstance(inner, Mapping):
            for name, leaf in _leaves(inner, f"{called}[{key!r}]"):
                yield f"{key}/{name}", leaf
        else:
            yield key, inner


def _attributes(value: object, forms: Sequence[Form]) -> Iterator[tuple[str, object]]:
    """Find what an object has of the arrays that there may be: a/b or a.b is attribute b of attribute a."""
    for name in dict.fromkeys(array.name for form in forms for array in form.arrays):
        leaf = value
        for part in re.split(r"[/.]", name):
            leaf = getattr(leaf, part, None)
        if leaf is not None:
            yield name, leaf


def of_list(arrays: Sequence[object], called: str, forms: Sequence[Form]) -> list[dict[str, AnyArray]]:
    """Name the arrays of a list, of one direction or two."""
    names = [array.name for array in forms[0].arrays]
    counts = {len(names), sum(not array.optional for array in forms[0].arrays)}
    directions = 1 if len(arrays) in counts else 2
    if len(arrays) not in {n * directions for n in counts}:
        raise ValueError(
            f"{called}: expected the arrays {', '.join(names)}, those of a second direction behind them,"
            f" got {len(arrays)} arrays"
        )
    each = len(arrays) // directions
    numbers = [checks.weight(array, f"{called}[{k}]") for k, array in enumerate(arrays)]
    return [dict(zip(names, numbers[d * each : (d + 1) * each], strict=False)) for d in range(directions)]


def nested(arrays: Mapping[str, Numbers], convention: Convention, prefix: str = "") -> dict[str, Numbers]:
    """Put arrays together as the convention has them: what `flat` reads."""
    whole: dict[str, Numbers] = {}
    for name, array in arrays.items():
        *path, leaf = (prefix + name).split("/") if convention.nesting else [prefix + name]
        if convention.nesting == "module" and path:
            path = ["/".join(path)]
        inner = whole
        for part in path:
            inner = inner.setdefault(part, {})
        inner[leaf] = array
    return whole
