"""Names, shapes and checks of the parameters: those of PyTorch's nn.LSTM and nn.RNN."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from . import checks
from .checks import Array

_A = TypeVar("_A")
_B = TypeVar("_B")

_BYTES_PER_ARRAY = 512  # about what an array and its name take beside its numbers
_NAMED = 10_000  # parameters of a layout that are named in any case, however few arrays came for them


PEEPHOLES = "weight_ch"


def count_of_pass(bias: bool, projected: bool, peepholes: bool = False, norms: bool = False) -> int:
    """How many parameters a layer has for each direction: W_ih, W_hh, two biases, peepholes, W_hr, norms."""
    return (4 if bias else 2) + (1 if peepholes else 0) + (1 if projected else 0) + (4 if norms else 0)


@dataclass(frozen=True)
class Layout:
    """Sizes that say which parameters there are. G gates: 4 of an LSTM, 1 of an RNN.

    proj_size is 0 without a projection of h, peepholes (how many gates see c) without them.
    """

    gates: int
    input_size: int
    hidden_size: int
    num_layers: int
    bidirectional: bool
    bias: bool
    proj_size: int
    peepholes: int = 0
    reverse: bool = False  # alone, from the last step to the first
    norms: bool = False  # whether there are gains and biases of layer normalisation

    @property
    def directions(self) -> int:
        """D, 1 or 2."""
        return 2 if self.bidirectional else 1

    @property
    def ways(self) -> tuple[bool, ...]:
        """Of each direction, whether it is the reverse one."""
        return (False, True) if self.bidirectional else (self.reverse,)

    @property
    def output_size(self) -> int:
        """Width of h: proj_size, or hidden_size without a projection."""
        return self.proj_size or self.hidden_size

    @property
    def output_symbol(self) -> str:
        """What messages call that width in shapes."""
        return "P" if self.proj_size else "H"

    @property
    def features(self) -> int:
        """Width of y: h of every direction."""
        return self.directions * self.output_size

    @property
    def count(self) -> int:
        """How many parameters there are."""
        return (
            self.num_layers
            * self.directions
            * count_of_pass(self.bias, self.proj_size > 0, self.peepholes > 0, self.norms)
        )

    @property
    def total(self) -> int:
        """How many numbers they hold together; exact, however large."""
        rows = self.gates * self.hidden_size
        per_row = self.output_size + (2 if self.bias else 0)
        norms = 2 * self.gates + 2 if self.norms else 0
        more = (self.peepholes + self.proj_size + norms) * self.hidden_size
        first = rows * (self.input_size + per_row) + more
        other = rows * (self.features + per_row) + more
        return self.directions * (first + (self.num_layers - 1) * other)

    def nbytes(self, dtype: np.dtype[Any]) -> int:
        """Bytes of the parameters; exact but for what an array and its name take beside its numbers."""
        return self.total * dtype.itemsize + self.count * _BYTES_PER_ARRAY

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...], str]]:
        """Name, shape and the shape in words, in PyTorch's order: by layer, then direction."""
        rows = self.gates * self.hidden_size
        rows_symbol = "hidden_size" if self.gates == 1 else f"{self.gates}*hidden_size"
        h_symbol = "proj_size" if self.proj_size else "hidden_size"
        for layer in range(self.num_layers):
            columns = self.input_size if layer == 0 else self.features
            columns_symbol = (
                "input_size" if layer == 0 else f"2*{h_symbol}" if self.bidirectional else h_symbol
            )
            for suffix in ("", "_reverse")[: self.directions]:
                end = f"_l{layer}{suffix}"
                yield f"weight_ih{end}", (rows, columns), f"[{rows_symbol}, {columns_symbol}]"
                yield f"weight_hh{end}", (rows, self.output_size), f"[{rows_symbol}, {h_symbol}]"
                if self.bias:
                    yield f"bias_ih{end}", (rows,), f"[{rows_symbol}]"
                    yield f"bias_hh{end}", (rows,), f"[{rows_symbol}]"
                if self.peepholes:
                    shape = self.peepholes, self.hidden_size
                    yield f"{PEEPHOLES}{end}", shape, f"[{self.peepholes}, hidden_size]"
                if self.proj_size:
                    yield f"weight_hr{end}", (self.proj_size, self.hidden_size), "[proj_size, hidden_size]"
                if self.norms:
                    yield f"gain_ih{end}", (rows,), f"[{rows_symbol}]"
                    yield f"gain_hh{end}", (rows,), f"[{rows_symbol}]"
                    yield f"gain_c{end}", (self.hidden_size,), "[hidden_size]"
                    yield f"bias_c{end}", (self.hidden_size,), "[hidden_size]"

    def check_size(self, dtype: np.dtype[Any]) -> None:
        """ValueError if no machine could address the parameters."""
        if self.nbytes(dtype) > sys.maxsize:
            raise ValueError(
                f"input_size, hidden_size, num_layers: {checks.shown(self.input_size)},"
                f" {checks.shown(self.hidden_size)} and {checks.shown(self.num_layers)} need parameters of"
                f" {checks.shown(self.nbytes(dtype))} bytes, more than the address space"
            )


def expected(
    names: Collection[Any], argument: str, layout: Layout, *, partial: bool = False
) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape, and shape in words, of every parameter by name, once `names` are theirs.

    Raises
    ------
    ValueError
        If a name is unexpected or, unless `partial`, missing.
    """
    return by_name(names, argument, layout, layout.count, layout.shapes(), partial=partial)


def by_name(
    names: Collection[Any],
    argument: str,
    layout: Layout,
    count: int,
    arrays: Iterator[tuple[str, _A, _B]],
    *,
    partial: bool = False,
) -> dict[str, tuple[_A, _B]]:
    """Return what is known of each of `count` arrays, once `names` are theirs. Raises as `expected` does.

    A file or a pickle may lie about its number of layers. Then there are far fewer arrays than it would have
    names, and nothing is made for the lie.
    """
    if not partial and count > max(len(names), _NAMED):
        raise ValueError(
            f"{argument}: expected {count} arrays for {layout.num_layers} layers, got {len(names)}"
        )
    given = set(names)
    known = {name: (a, b) for name, a, b in arrays}
    unexpected = [name for name in names if name not in known]
    missing = [] if partial else [name for name in known if name not in given]
    if unexpected or missing:
        came = [
            f"{kind} {_listed(wrong)}"
            for kind, wrong in (("unexpected", unexpected), ("missing", missing))
            if wrong
        ]
        raise ValueError(f"{argument}: expected the names {_listed(list(known))}, got {'; '.join(came)}")
    return known


def checked(
    values: object, argument: str, layout: Layout, dtype: np.dtype[Any], *, partial: bool
) -> dict[str, Array]:
    """Private C-ordered copies of `values`, once every name, shape and dtype is right.

    Parameters
    ----------
    values
        Mapping from parameter names to array-likes of real numbers, PyTorch's CPU tensors among them.
    argument
        What the user calls it, for messages.
    layout, dtype
        What is expected; other real dtypes are converted.
    partial
        Whether parameters may be missing.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"{argument}: expected a mapping from names to arrays, got {checks.shown(values)}")
    arrays = {}
    for name, (shape, symbols) in expected(values, argument, layout, partial=partial).items():
        if name in values:
            called = f"{argument}[{name!r}]"
            arrays[name] = checks.exact(checks.weight(values[name], called), called, shape, symbols, dtype)
    return {name: np.array(array) for name, array in arrays.items()}


def _listed(names: list[Any]) -> str:
    listed = ", ".join(map(str, names[:12]))
    return f"{listed} and {len(names) - 12} more" if len(names) > 12 else listed


def read_only(array: Array) -> Array:
    """Make a view that cannot be made writeable again: its base is read-only, too."""
    array.flags.writeable = False
    return array.view()
