"""The output node: a dense layer with an activation, p = activation(W x + b)."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import _core
from .._base import checks, runtime
from .._base.checks import Array
from . import _activations, _arguments


@dataclass(frozen=True, eq=False)
class DenseTape:
    """What `Dense.forward` keeps for `Dense.backward` and for `cross_entropy`.

    It belongs to the head that made it, with the weights that it had then, and may be used more than
    once. It refers to x rather than copying it: x must not change before the last `backward`.
    """

    activation: str
    logits: Array  # z = W x + b, [..., out_features]
    _x: Array = field(repr=False)  # [..., in_features]
    _weight: Array = field(repr=False)  # at the time
    _owner: Dense = field(repr=False)


@dataclass(frozen=True, eq=False)
class LogitGradient:
    """The gradient of a loss with respect to the logits z, not to the outputs p.

    What `cross_entropy` returns. It is a type of its own so that `Dense.backward` can tell it from a
    dp: the two have the same shape, and taking one for the other would be wrong without a sound.
    """

    array: Array  # [..., out_features]


@dataclass(frozen=True, eq=False)
class DenseGradients:
    """Derivatives of a scalar loss, as `Dense.backward` returns them.

    Attributes
    ----------
    x
        dloss/dx, the shape of x.
    parameters
        dloss/d(parameter) by name, in the order and with the shapes of the head's `parameters`.
    """

    x: Array
    parameters: dict[str, Array]


class Dense:
    """A dense layer with an activation: z = W x + b, p = activation(z).

    Parameters
    ----------
    in_features, out_features
        Sizes of x and p, at least 1.
    activation : {"identity", "sigmoid", "softmax"}
        identity for regression, sigmoid for independent yes-or-no outputs, softmax (over the last axis)
        for one out of several classes.
    bias
        Whether there is a b.
    dtype
        float32 or float64, of the parameters and of all arithmetic.
    seed
        None, an integer >= 0 or a numpy.random.Generator. As in PyTorch's nn.Linear, W and then b are
        drawn from the uniform distribution between -1/sqrt(in_features) and 1/sqrt(in_features).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or cannot be.

    Notes
    -----
    Parameters have the names and shapes of nn.Linear's: weight [out_features, in_features] and
    bias [out_features].
    """

    _parameters: dict[str, Array]

    def __init__(
        self,
        in_features: int,
        out_features: int,
        activation: str = "identity",
        *,
        bias: bool = True,
        dtype: DTypeLike = "float32",
        seed: int | np.random.Generator | None = None,
    ) -> None:
        self.in_features = checks.integer(in_features, "in_features", 1)
        self.out_features = checks.integer(out_features, "out_features", 1)
        self.activation = checks.choice(activation, "activation", _activations.NAMES)
        self.bias = checks.flag(bias, "bias")
        self.dtype = checks.float_dtype(dtype)
        if (self.in_features + 1) * self.out_features * 8 > sys.maxsize:
            raise ValueError(
                "in_features, out_features: expected parameters that fit in the address space,"
                f" got {self.in_features} and {self.out_features}"
            )
        generator = checks.seed_generator(seed)
        bound = 1 / math.sqrt(self.in_features)
        shapes: dict[str, tuple[int, ...]] = {"weight": (self.out_features, self.in_features)}
        if self.bias:
            shapes["bias"] = (self.out_features,)
        # Drawn in float64 whatever the dtype, so that one seed is one head.
        self._set({name: generator.uniform(-bound, bound, shape) for name, shape in shapes.items()})

    def __call__(self, x: ArrayLike) -> Array:
        """Compute p [..., out_features] from x [..., in_features], keeping nothing."""
        x = self._input(x)
        with checks.quiet():
            return _activations.apply(self.activation, self._logits(x))

    def forward(self, x: ArrayLike) -> tuple[Array, DenseTape]:
        """Compute the outputs, and keep what `backward` needs.

        Parameters
        ----------
        x : [..., in_features]
            Real numbers, converted to the head's dtype: what is beyond it becomes infinite. NaN and
            infinities are data like any other.

        Returns
        -------
        p : [..., out_features]
        tape : DenseTape
        """
        x = self._input(x)
        with checks.quiet():
            logits = self._logits(x)
            p = _activations.apply(self.activation, logits)
        return p, DenseTape(self.activation, logits, x, self._parameters["weight"], self)

    def backward(self, tape: DenseTape, dp: ArrayLike | LogitGradient) -> DenseGradients:
        """Gradients with respect to x and the parameters.

        Parameters
        ----------
        tape
            Of this head's `forward`.
        dp : [..., out_features]
            Gradient of the loss with respect to p, as from `mean_squared_error`; or a `LogitGradient`,
            as from `cross_entropy`, which has gone through the activation already.

        Raises
        ------
        TypeError, ValueError
            If the tape is not this head's, or dp does not have the shape of p.
        """
        if not isinstance(tape, DenseTape):
            raise TypeError(f"tape: expected a DenseTape of this head's forward, got {checks.shown(tape)}")
        if tape._owner is not self:
            raise ValueError("tape: expected one of this head's own forward, got one of another head")
        shape = tape.logits.shape
        if isinstance(dp, LogitGradient):
            dz = checks.exact(dp.array, "dp.array", shape, "(that of p)", self.dtype)
        else:
            dp = checks.exact(dp, "dp", shape, "(that of p)", self.dtype)
            with checks.quiet():
                dz = _activations.through(self.activation, tape.logits, dp)

        return self._gradients(tape._x, tape._weight, dz)

    @property
    def parameters(self) -> Mapping[str, Array]:
        """Read-only mapping of read-only arrays: weight [out_features, in_features], bias [out_features]."""
        return MappingProxyType(self._parameters)

    def update(self, parameters: Mapping[str, ArrayLike]) -> None:
        """Replace some parameters, or none if one of them has a wrong name, shape or type."""
        self._prepared(parameters)()

    def _prepared(self, parameters: Mapping[str, ArrayLike]) -> Callable[[], None]:
        """Do all of an update that can fail; return the rest of it."""
        new = _arguments.like(parameters, "parameters", self._parameters, partial=True)
        private = self._private(self._parameters | new)

        def swap() -> None:
            self._parameters = private

        return swap

    def state_dict(self) -> dict[str, Array]:
        """Copy all parameters, for the caller to keep or to change."""
        return {name: array.copy() for name, array in self._parameters.items()}

    def load_state_dict(self, state_dict: Mapping[str, ArrayLike]) -> None:
        """Replace all parameters, or none if one of them is missing or has a wrong name, shape or type."""
        self._set(_arguments.like(state_dict, "state_dict", self._parameters))

    def __repr__(self) -> str:
        """Show it as the call that makes one like it."""
        return (
            f"Dense({self.in_features}, {self.out_features}, {self.activation!r},"
            f" bias={self.bias}, dtype={self.dtype.name!r})"
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Come back from a pickle or a deep copy, in which read-only arrays have become writeable."""
        self.__dict__.update(state)
        self._set(self._parameters)

    def _set(self, parameters: Mapping[str, Array]) -> None:
        self._parameters = self._private(parameters)

    def _private(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Make read-only copies; arrays are replaced, never written to, so that tapes stay right."""
        copies = {name: np.array(value, self.dtype, order="C") for name, value in parameters.items()}
        for copy in copies.values():
            copy.flags.writeable = False
        return {name: copy.view() for name, copy in copies.items()}

    def _input(self, x: object) -> Array:
        array = checks.real_array(x, "x")
        if array.ndim == 0 or array.shape[-1] != self.in_features:
            raise ValueError(
                f"x: expected shape [..., {self.in_features}] (the last is in_features), got {array.shape}"
            )
        return checks.converted(array, self.dtype)

    # The core's products have one order everywhere; a BLAS adds as it likes on each machine, for each size
    # and number of threads.

    def _logits(self, x: Array) -> Array:
        """Compute z [..., out_features] of x [..., in_features], of the head's dtype."""
        parameters = self._parameters  # of one update
        rows = checks.dense(x.reshape(-1, self.in_features), self.dtype)
        z = _core.dense_forward(rows, parameters["weight"], parameters.get("bias"), runtime.isa())
        return z.reshape(*x.shape[:-1], self.out_features)

    def _gradients(self, x: Array, weight: Array, dz: Array) -> DenseGradients:
        """Find the gradients from that of z; weight: as it was when z was made."""
        rows = checks.dense(x.reshape(-1, self.in_features), self.dtype)
        dz_rows = checks.dense(dz.reshape(-1, self.out_features), self.dtype)
        dx, dweight, dbias = _core.dense_backward(rows, weight, dz_rows, runtime.isa())
        parameters = {"weight": dweight, "bias": dbias} if self.bias else {"weight": dweight}
        return DenseGradients(dx.reshape(x.shape), parameters)
