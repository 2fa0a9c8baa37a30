"""In what a cell may differ from its kind's: peepholes, coupled gates, a clip, activations, where r is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from . import checks

# What constructors take for each: a name, or (name, alpha), or (name, alpha, beta).
ActivationLike: TypeAlias = "str | Sequence[str | float]"


@dataclass(frozen=True)
class _Function:
    """A function that ONNX names for its recurrent operators."""

    name: str
    takes: tuple[str, ...] = ()  # of alpha and beta
    defaults: tuple[float, ...] = ()  # where ONNX and ONNX Runtime agree on them; else they must be given


_FUNCTIONS: Mapping[str, _Function] = {
    function.name.lower(): function
    for function in (
        _Function("Tanh"),
        _Function("Sigmoid"),
        _Function("Relu"),
        _Function("Affine", ("alpha", "beta")),
        _Function("LeakyRelu", ("alpha",), (0.01,)),
        _Function("ThresholdedRelu", ("alpha",)),
        _Function("ScaledTanh", ("alpha", "beta")),
        _Function("HardSigmoid", ("alpha", "beta"), (0.2, 0.5)),
        _Function("Elu", ("alpha",), (1.0,)),
        _Function("Softsign"),
        _Function("Softplus"),
    )
}
NAMES = tuple(function.name for function in _FUNCTIONS.values())


def takes(name: str) -> tuple[str, ...]:
    """Name those of alpha and beta that a function takes; none of a function that nobody knows."""
    function = _FUNCTIONS.get(name.lower())
    return function.takes if function else ()


def defaults(name: str) -> tuple[float, ...]:
    """Return what they are where they are not given; nothing where they must be, or there are none."""
    function = _FUNCTIONS.get(name.lower())
    return function.defaults if function else ()


@dataclass(frozen=True)
class Activation:
    """A function with its numbers."""

    name: str
    numbers: tuple[float, ...] = ()  # alpha, or alpha and beta

    def shown(self) -> str | tuple[str | float, ...]:
        """Give it as the constructors take it."""
        return (self.name, *self.numbers) if self.numbers else self.name

    def for_core(self) -> tuple[str, float, float]:
        """Give it as the core takes it."""
        alpha, beta = (*self.numbers, 0.0, 0.0)[:2]
        return self.name, alpha, beta


@dataclass(frozen=True)
class Variant:
    """What a layer's cell is beside its kind. The plain one has nothing of it."""

    activations: tuple[Activation, ...]  # of the gates, of the candidate, of c: as many as the kind has
    usual: bool  # whether they are the kind's own
    clip: float | None
    peephole: bool
    coupled: bool
    reset_after: bool

    @property
    def plain(self) -> bool:
        """Whether the kind's own cell does."""
        other = self.peephole or self.coupled or not self.reset_after
        return self.usual and self.clip is None and not other

    def config(self) -> dict[str, Any]:
        """Give what is not as usual, as the constructors take it and JSON can hold it."""
        config: dict[str, Any] = {}
        if self.peephole:
            config["peephole"] = True
        if self.coupled:
            config["coupled"] = True
        if not self.reset_after:
            config["reset_after"] = False
        if self.clip is not None:
            config["clip"] = self.clip
        if not self.usual:
            config["activations"] = tuple(activation.shown() for activation in self.activations)
        return config

    def for_core(self) -> tuple[Any, ...]:
        """Give it as the core takes it where the cell is not the plain one."""
        f, g, h = (*self.activations, Activation("Tanh"), Activation("Tanh"))[:3]
        return f.for_core(), g.for_core(), h.for_core(), self.clip or 0.0, self.peephole


def read(config: Mapping[str, Any], usual: Sequence[str], dtype: np.dtype[Any]) -> Variant:
    """Check the options of a configuration. usual: the kind's own activations."""
    own = tuple(map(Activation, usual))
    given = config.get("activations")
    activations = own if given is None else _activations(given, usual, dtype)
    clip = config.get("clip")
    return Variant(
        activations,
        activations == own,
        None if clip is None else _clip(clip, dtype),
        checks.flag(config.get("peephole", False), "peephole"),
        checks.flag(config.get("coupled", False), "coupled"),
        checks.flag(config.get("reset_after", True), "reset_after"),
    )


def _clip(value: object, dtype: np.dtype[Any]) -> float:
    number = checks.real(value, "clip", "None or a positive, finite number")
    if not (number > 0 and _rounded(number, dtype) > 0 and np.isfinite(_rounded(number, dtype))):
        raise ValueError(f"clip: expected None or a positive, finite number of {dtype}, got {number!r}")
    return number


def _activations(value: object, usual: Sequence[str], dtype: np.dtype[Any]) -> tuple[Activation, ...]:
    expected = (
        f"activations: expected None or {len(usual)} of them, like {tuple(usual)}, each a name or"
        " (name, alpha) or (name, alpha, beta)"
    )
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"{expected}; got {checks.shown(value)}")
    if len(value) != len(usual):
        raise ValueError(f"{expected}; got {len(value)} of them")
    return tuple(_activation(each, f"activations[{k}]", dtype) for k, each in enumerate(value))


def _activation(value: object, name: str, dtype: np.dtype[Any]) -> Activation:
    parts: Any = [value] if isinstance(value, str) else value
    if not isinstance(parts, Sequence) or not parts or not isinstance(parts[0], str):
        raise TypeError(f"{name}: expected a name or (name, alpha, beta), got {checks.shown(value)}")
    function = _FUNCTIONS.get(parts[0].lower())
    if function is None:
        raise ValueError(f"{name}: expected one of {', '.join(NAMES)}, got {checks.shown(parts[0])}")
    numbers = tuple(checks.real(number, name, "finite numbers after the name") for number in parts[1:])
    takes = " and ".join(function.takes) or "no numbers"
    if not numbers and function.defaults:
        numbers = function.defaults
    if len(numbers) != len(function.takes):
        raise ValueError(f"{name}: {function.name} takes {takes} after its name, got {len(numbers)} numbers")
    for number in numbers:
        if not np.isfinite(_rounded(number, dtype)):
            raise ValueError(f"{name}: expected finite numbers of {dtype} after the name, got {number!r}")
    return Activation(function.name, numbers)


def _rounded(number: float, dtype: np.dtype[Any]) -> np.floating[Any]:
    with checks.quiet():
        rounded: np.floating[Any] = dtype.type(number)
    return rounded
