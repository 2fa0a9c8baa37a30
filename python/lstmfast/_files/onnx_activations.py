"""Activations as ONNX's nodes have them: names, and apart from these the numbers that some of them take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .._base import variants

Functions = tuple[tuple[str, tuple[float, ...]], ...]


def dealt(names: Sequence[str], alphas: Sequence[float], betas: Sequence[float]) -> Functions:
    """Deal numbers out, as ONNX Runtime does: in order, to the functions that take one.

    Those for which nothing is left have the operator's of their name, or 0 where ONNX Runtime has none
    (Affine, ScaledTanh, ThresholdedRelu). A name that nobody knows is left for the layer to refuse.
    """
    left: dict[str, Iterator[float]] = {"alpha": iter(alphas), "beta": iter(betas)}
    functions = []
    for name in names:
        takes = variants.takes(name)
        usual = variants.defaults(name) or (0.0,) * len(takes)
        functions.append(
            (name, tuple(next(left[number], other) for number, other in zip(takes, usual, strict=True)))
        )
    return tuple(functions)


def listed(functions: Sequence[str | Sequence[str | float]]) -> dict[str, list[str] | list[float]]:
    """Give activations, as a layer shows them, as a node's attributes."""
    names: list[str] = []
    numbers: dict[str, list[float]] = {"alpha": [], "beta": []}
    for function in functions:
        name, *given = [function] if isinstance(function, str) else function
        names.append(str(name))
        for number, value in zip(variants.takes(str(name)), given, strict=True):
            numbers[number].append(float(value))
    found: dict[str, list[str] | list[float]] = {"activations": names}
    return found | {f"activation_{number}": values for number, values in numbers.items() if values}
