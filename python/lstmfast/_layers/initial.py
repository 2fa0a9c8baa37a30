"""A layer's first weights: how they are drawn, and where an LSTM's forget gate begins."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from .._base import checks
from .._base.checks import Array
from .._base.parameters import PEEPHOLES, Layout

# Draws one parameter, of which G gates lie one below the other, in float64.
_Draw: TypeAlias = Callable[[str, tuple[int, ...], Layout, np.random.Generator], Any]

FORGET = 1  # of the gates i, f, g, o


def drawn(
    layout: Layout,
    dtype: np.dtype[Any],
    generator: np.random.Generator,
    init: object,
    forget_bias: object = None,
) -> dict[str, Array]:
    """Draw every parameter, in PyTorch's order, and set the forget gate's biases.

    The numbers are drawn in float64 whatever the dtype, so that one seed is one model.

    Parameters
    ----------
    init
        "uniform", "orthogonal" or "xavier"; what they are: see `LSTM`.
    forget_bias
        Of an LSTM: a number, which `bias_ih` of the forget gate becomes, and `bias_hh` zero; None changes
        nothing. Nothing else is drawn otherwise for it.

    Raises
    ------
    TypeError, ValueError
        If one of these two is not as above, or there is a number and no bias.
    """
    draw = _DRAWS[checks.choice(init, "init", tuple(_DRAWS))]
    forget = None if forget_bias is None else _number(forget_bias, layout, dtype)
    # Sizes for which there is no memory fail here and at once, not after a million layers.
    np.empty(layout.nbytes(dtype), np.uint8)
    flat = np.empty(layout.total, dtype)
    parameters = {}
    start = 0
    for name, shape, _ in layout.shapes():
        stop = start + math.prod(shape)
        parameters[name] = array = flat[start:stop].reshape(shape)
        # Normalisation begins as such: gains are 1, and what is added to c is 0.
        norm = name.startswith(("gain_", "bias_c"))
        array[...] = name.startswith("gain_") if norm else draw(name, shape, layout, generator)
        if forget is not None and name.startswith(("bias_ih", "bias_hh")):
            unit = layout.hidden_size
            array[FORGET * unit : (FORGET + 1) * unit] = forget if name.startswith("bias_ih") else 0.0
        start = stop
    flat.flags.writeable = False  # or its views could be made writeable again
    return parameters


def _number(value: object, layout: Layout, dtype: np.dtype[Any]) -> float:
    """Check forget_bias, a number that the dtype has."""
    expected = "None or a finite number"
    number = checks.real(value, "forget_bias", expected)
    if layout.gates < 4:
        raise ValueError(
            f"forget_bias: expected None where coupled is True and f is 1 - i, got {checks.shown(value)}"
        )
    if not layout.bias:
        raise ValueError(f"forget_bias: expected None where bias is False, got {checks.shown(value)}")
    largest = float(np.finfo(dtype).max)
    if not -largest <= number <= largest:  # not so for NaN, too
        raise ValueError(f"forget_bias: expected {expected} in {dtype}, got {checks.shown(value)}")
    return number


def _uniform(_name: str, shape: tuple[int, ...], layout: Layout, generator: np.random.Generator) -> Array:
    bound = 1.0 / math.sqrt(layout.hidden_size)
    return generator.uniform(-bound, bound, shape)


def _xavier(name: str, shape: tuple[int, ...], layout: Layout, generator: np.random.Generator) -> Any:  # noqa: ANN401
    """Draw within sqrt(6 / (what a gate reads + what it gives)), or what a projection does."""
    if name.startswith(("bias_", PEEPHOLES)):
        return 0.0
    rows, columns = shape
    gives = rows if name.startswith("weight_hr") else layout.hidden_size
    bound = math.sqrt(6.0 / (columns + gives))
    return generator.uniform(-bound, bound, shape)


def _orthogonal(name: str, shape: tuple[int, ...], layout: Layout, generator: np.random.Generator) -> Any:  # noqa: ANN401
    if not name.startswith("weight_hh"):
        return _xavier(name, shape, layout, generator)
    return np.concatenate(
        [_orthonormal(layout.hidden_size, shape[1], generator) for _ in range(layout.gates)]
    )


def _orthonormal(rows: int, columns: int, generator: np.random.Generator) -> Array:
    """Draw a matrix [rows, columns], no wider than high, with orthonormal columns, all alike probable."""
    q, r = np.linalg.qr(generator.standard_normal((rows, columns)))
    # The QR decomposition that is unique, with a positive diagonal: else its signs would depend on LAPACK's
    # way, and matrices would not be uniformly distributed.
    orthonormal: Array = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return orthonormal


_DRAWS: Mapping[str, _Draw] = {"uniform": _uniform, "orthogonal": _orthogonal, "xavier": _xavier}
