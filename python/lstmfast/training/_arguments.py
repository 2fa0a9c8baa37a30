"""Checks of what training alone is given: numbers, arrays of either float, mappings from names to arrays.

As in `lstmfast._checks`, each returns the value in the form that the caller goes on with, or else raises
a TypeError or ValueError that names the argument, what was expected and what came.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping

import numpy as np

from .._base import checks
from .._base.checks import Array


def number(value: object, argument: str) -> float:
    """Check a real number that is not NaN; the caller checks its range. A bool is none."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{argument}: expected a number, got {checks.shown(value)}")
    if value != value:
        raise ValueError(f"{argument}: expected a number, got NaN")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(
            f"{argument}: expected a number that a float can hold, got {checks.shown(value)}"
        ) from None


def floating(value: object, argument: str) -> Array:
    """Check an array of real numbers: float32 and float64 stay what they are, others become float64."""
    if type(value) is np.ndarray and (value.dtype is checks.FLOAT32 or value.dtype is checks.FLOAT64):
        return value
    array = checks.real_array(value, argument)
    dtype = array.dtype.newbyteorder("=")
    return checks.converted(array, dtype if dtype in (np.float32, np.float64) else checks.FLOAT64)


def mapping(values: object, argument: str) -> Mapping[str, object]:
    """Check that it is a mapping at all."""
    if isinstance(values, Mapping):
        return values
    hint = f"; pass its .parameters for {argument}" if hasattr(values, "parameters") else ""
    raise TypeError(f"{argument}: expected a mapping from names to arrays, got {checks.shown(values)}{hint}")


def like(
    values: object, argument: str, expected: Mapping[str, Array], *, partial: bool = False
) -> dict[str, Array]:
    """Arrays with the names, shapes and dtypes of `expected`, in its order.

    Parameters
    ----------
    values
        Mapping from names to array-likes of real numbers; other real dtypes are converted, and tensors
        may require grad.
    argument
        What the user calls it, for messages.
    expected
        The parameters that they belong to.
    partial
        Whether names may be missing.
    """
    given = mapping(values, argument)
    unexpected = [str(name) for name in given if name not in expected]
    missing = [] if partial else [name for name in expected if name not in given]
    if unexpected or missing:
        problems = [
            f"{kind} {', '.join(names)}"
            for kind, names in (("unexpected", unexpected), ("missing", missing))
            if names
        ]
        raise ValueError(f"{argument}: {'; '.join(problems)}; expected the names {', '.join(expected)}")
    arrays = {}
    for name, parameter in expected.items():
        if name in given:
            value = given[name]
            if (
                type(value) is np.ndarray
                and value.dtype is parameter.dtype
                and value.shape == parameter.shape
            ):
                arrays[name] = value  # what nearly all are, without the words that a message would need
                continue
            array = checks.weight(value, f"{argument}[{name!r}]")
            if array.shape != parameter.shape:
                raise ValueError(f"{argument}[{name!r}]: expected shape {parameter.shape}, got {array.shape}")
            arrays[name] = checks.converted(array, parameter.dtype)
    return arrays


def check_finite(gradients: Mapping[str, Array], argument: str) -> None:
    """ValueError that names the first gradient with NaN or an infinity in it."""
    for name, gradient in gradients.items():
        bad = gradient.size - np.count_nonzero(np.isfinite(gradient))
        if bad:
            raise ValueError(
                f"{argument}[{name!r}]: expected finite numbers, got NaN or infinity"
                f" in {bad} of {gradient.size} places"
            )
