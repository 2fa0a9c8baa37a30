"""How layers and directions are put together: what belongs to each, of what somebody has in hand.

A layer is a mapping from names to arrays, or an object that has them as attributes; where a row is *listed*,
a list of arrays as well. A bidirectional layer is a pair, forward and reverse: a tuple. A stack is a list of
layers, and in it a pair may be a list, too. Other rows hold more in one mapping:

- *named*: the name says which layer and direction, as in PyTorch's ``weight_ih_l0_reverse``;
- *paddle*: likewise, with Paddle's second names;
- *back*: the reverse direction's names end with ``_back``;
- *listed*: a list goes on with the reverse direction's arrays;
- *D*, *LD*: the first axes of each array are directions, or layers and directions;
- *rows*: the reverse direction's rows are below the forward one's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import checks
from ..checks import AnyArray
from . import names, paddle
from .choosing import listed
from .convention import Convention
from .forms import Form

# The arrays of one direction, and what messages call them.
Pass = tuple[str, dict[str, AnyArray]]
Layers = list[list[Pass]]

_NAMED = re.compile(r"(?P<name>.+)_l(?P<layer>\d+)(?P<way>_reverse)?")
_BACK = "_back"
WAYS = ("", "_reverse")
CALLED = "arrays"


def split(arrays: object, convention: Convention, forms: Sequence[Form], prefix: str) -> list[list[Pass]]:
    """Find the arrays of each layer and direction.

    Raises
    ------
    TypeError, ValueError
        If they are not put together as the convention has them.
    """
    if isinstance(arrays, (str, bytes)) or arrays is None or isinstance(arrays, (int, float)):
        raise TypeError(
            f"{CALLED}: expected a mapping from names to arrays, or a list of such for {convention.name!r},"
            f" got {checks.shown(arrays)}"
        )
    if not isinstance(arrays, list) or _is_listed(arrays, convention):
        return _layers(arrays, CALLED, convention, forms, prefix)
    if not arrays:
        raise ValueError(f"{CALLED}: expected at least one layer, got an empty {type(arrays).__name__}")
    return [
        layer
        for k, item in enumerate(arrays)
        for layer in _layers(item, f"{CALLED}[{k}]", convention, forms, prefix)
    ]


def _is_listed(item: object, convention: Convention) -> bool:
    """Tell whether it is a list of arrays, and not of layers."""
    if convention.holding != "listed" or not isinstance(item, (list, tuple)) or not item:
        return False
    return not isinstance(item[0], (Mapping, list, tuple)) and hasattr(item[0], "shape")


def _layers(
    item: object, called: str, convention: Convention, forms: Sequence[Form], prefix: str
) -> list[list[Pass]]:
    """Find the layers of what is one layer, or several of them in one mapping."""
    if _is_listed(item, convention):
        assert isinstance(item, (list, tuple))
        return [[(called, arrays) for arrays in names.of_list(item, called, forms)]]
    if isinstance(item, (list, tuple)):
        if len(item) != 2:
            raise ValueError(
                f"{called}: expected the arrays of a layer for {convention.name!r}, or a pair of forward and"
                f" reverse, got {checks.shown(item)}"
            )
        passes = [_layers(each, f"{called}[{d}]", convention, forms, prefix) for d, each in enumerate(item)]
        if any(len(layers) != 1 or len(layers[0]) != 1 for layers in passes):
            raise ValueError(f"{called}: expected a pair of one direction each, got more")
        return [[passes[0][0][0], passes[1][0][0]]]
    arrays = names.flat(item, called, forms, prefix)
    if convention.holding == "named":
        return _by_name(arrays, called)
    if convention.holding == "paddle":
        return _by_name(paddle.by_layer(arrays), called)
    if convention.holding == "back":
        return [[(called, each) for each in _by_ending(arrays)]]
    if convention.holding in {"D", "LD"}:
        return _by_axes(arrays, called, convention)
    if convention.holding == "rows":
        return [[(called, each) for each in _by_rows(arrays, forms)]]
    return [[(called, arrays)]]


def _by_name(arrays: Mapping[str, AnyArray], called: str) -> list[list[Pass]]:
    found: dict[tuple[int, int], dict[str, AnyArray]] = {}
    plain = [name for name in arrays if not _NAMED.fullmatch(name)]
    if not arrays:
        raise ValueError(f"{called}: expected names like weight_ih_l0 and weight_ih_l0_reverse, got none")
    if plain:
        raise ValueError(
            f"{called}: expected names like weight_ih_l0 and weight_ih_l0_reverse, got {listed(plain)}"
        )
    for name, array in arrays.items():
        match = _NAMED.fullmatch(name)
        assert match is not None
        found.setdefault((int(match["layer"]), 1 if match["way"] else 0), {})[match["name"]] = array
    L, D = (1 + max(place[axis] for place in found) for axis in (0, 1))
    absent = [
        f"_l{k}{WAYS[d]}" for k in range(min(L, len(found) + 1)) for d in range(D) if (k, d) not in found
    ]
    if absent:
        raise ValueError(
            f"{called}: expected names of all layers and directions, got none that ends with {absent[0]}"
        )
    return [[(_ending(called, k, d), found[k, d]) for d in range(D)] for k in range(L)]


def _ending(called: str, layer: int, d: int) -> str:
    return f"{called} (of _l{layer}{WAYS[d]})"


def _by_axes(arrays: Mapping[str, AnyArray], called: str, convention: Convention) -> list[list[Pass]]:
    letters = convention.holding
    for name, array in arrays.items():
        if array.ndim <= len(letters) or array.shape[len(letters) - 1] not in {1, 2} or 0 in array.shape:
            raise ValueError(
                f"{called}[{name!r}]: expected an array for {convention.name!r} whose first axes are"
                f" [{', '.join(letters)}], D being 1 or 2 directions, got {array.shape}"
            )
        first = next(iter(arrays))
        expected = arrays[first].shape[: len(letters)]
        if array.shape[: len(letters)] != expected:
            raise ValueError(
                f"{called}[{name!r}]: expected first axes {expected} like those of {first!r},"
                f" got {array.shape}"
            )
    shape = next(iter(arrays.values())).shape if arrays else (1,) * len(letters)
    L, D = (1, shape[0]) if letters == "D" else shape[:2]
    leading = {name: array[np.newaxis] if letters == "D" else array for name, array in arrays.items()}
    return [
        [(called, {name: array[k, d] for name, array in leading.items()}) for d in range(D)] for k in range(L)
    ]


def _by_ending(arrays: Mapping[str, AnyArray]) -> list[dict[str, AnyArray]]:
    forward = {name: array for name, array in arrays.items() if not name.endswith(_BACK)}
    reverse = {name[: -len(_BACK)]: array for name, array in arrays.items() if name.endswith(_BACK)}
    return [forward, reverse] if reverse else [forward]


def _by_rows(arrays: dict[str, AnyArray], forms: Sequence[Form]) -> list[dict[str, AnyArray]]:
    """Cut arrays of both directions in two; whether they are is seen at that of h, [D*G*H, H]."""
    array = next(forms[0].having("h"))
    found = arrays.get(array.name)
    gates = len(array.parts[0].gates)
    if found is None or found.ndim != 2 or found.shape[0] != 2 * gates * found.shape[1]:
        return [arrays]
    halves = {name: np.split(each, 2) if len(each) % 2 == 0 else [each] * 2 for name, each in arrays.items()}
    return [{name: half[d] for name, half in halves.items()} for d in range(2)]


def merged(layers: Sequence[Sequence[Mapping[str, AnyArray]]], convention: Convention, prefix: str) -> Any:  # noqa: ANN401
    """Put the arrays of all layers and directions together: what `split` takes apart."""
    holding = convention.holding
    if holding in {"named", "paddle"}:
        whole = {
            f"{name}_l{k}{WAYS[d]}": array
            for k, passes in enumerate(layers)
            for d, arrays in enumerate(passes)
            for name, array in arrays.items()
        }
        return names.nested(paddle.by_both(whole) if holding == "paddle" else whole, convention, prefix)
    if holding == "LD" and _alike(layers):
        stacked = {
            name: np.stack([np.stack([arrays[name] for arrays in passes]) for passes in layers])
            for name in layers[0][0]
        }
        return names.nested(stacked, convention, prefix)
    items = [_item(passes, convention, prefix) for passes in layers]
    return items[0] if len(items) == 1 else items


def _alike(layers: Sequence[Sequence[Mapping[str, AnyArray]]]) -> bool:
    shapes = [{name: array.shape for name, array in passes[0].items()} for passes in layers]
    return all(each == shapes[0] for each in shapes)


def _item(passes: Sequence[Mapping[str, AnyArray]], convention: Convention, prefix: str) -> Any:  # noqa: ANN401
    holding = convention.holding
    if holding == "listed":
        return [array for arrays in passes for array in arrays.values()]
    if holding in {"D", "LD", "rows"}:
        join = np.concatenate if holding == "rows" else np.stack
        whole = {name: join([arrays[name] for arrays in passes]) for name in passes[0]}
        if holding == "LD":
            whole = {name: array[np.newaxis] for name, array in whole.items()}
        return names.nested(whole, convention, prefix)
    if holding == "back":
        endings = ("", _BACK)
        whole = {
            f"{name}{endings[d]}": each for d, arrays in enumerate(passes) for name, each in arrays.items()
        }
        return names.nested(whole, convention, prefix)
    items = [names.nested(arrays, convention, prefix) for arrays in passes]
    return items[0] if len(items) == 1 else tuple(items)
