"""Paddle's names: each array has two, by layer as in PyTorch and by cell; a projection has the second."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..checks import AnyArray

_CELL = re.compile(r"(?P<layer>\d+)\.cell(?P<way>_fw|_bw|)\.(?P<name>\w+)")
_LAYER = re.compile(r"(?P<name>\w+)_l(?P<layer>\d+)(?P<way>_reverse)?")
_BY_CELL_ALONE = "weight_ho"


def by_layer(arrays: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Leave each array its name by layer."""
    found: dict[str, AnyArray] = {}
    for name, array in arrays.items():
        cell = _CELL.fullmatch(name)
        if cell:
            way = "_reverse" if cell["way"] == "_bw" else ""
            found.setdefault(f"{cell['name']}_l{cell['layer']}{way}", array)
        else:
            found[name] = array
    return found


def by_both(arrays: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Give the arrays all names that Paddle's `state_dict` has."""
    both_ways = any(name.endswith("_reverse") for name in arrays)
    cells = {}
    for name, array in arrays.items():
        layer = _LAYER.fullmatch(name)
        assert layer is not None
        way = ("_bw" if layer["way"] else "_fw") if both_ways else ""
        cells[f"{layer['layer']}.cell{way}.{layer['name']}"] = array
    return {name: array for name, array in arrays.items() if not name.startswith(_BY_CELL_ALONE)} | cells
