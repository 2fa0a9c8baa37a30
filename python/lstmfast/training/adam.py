"""Adam: gradient descent in which every weight has a step size of its own.

Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1. With g the gradient of a
weight w at step t, and everything elementwise:

    m = beta1 m + (1 - beta1) g          running mean of the gradient, from 0
    v = beta2 v + (1 - beta2) g^2        running mean of its square, from 0
    m^ = m / (1 - beta1^t)               both begin at 0 and would be too small at first
    v^ = v / (1 - beta2^t)
    w = w - learning_rate m^ / (sqrt(v^) + eps)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from .. import _core
from .._base import checks
from .._base.checks import Array
from . import _arguments
from ._updates import update_all


class Model(Protocol):
    """What Adam can train: `LSTM`, `RNN`, `Dense`, or anything with these two."""

    @property
    def parameters(self) -> Mapping[str, Array]:
        """Names to arrays, float32 or float64."""

    def update(self, parameters: Mapping[str, Any], /) -> object:
        """Take new values for these names."""


class Adam:
    """Adam over all parameters of some models.

    Parameters
    ----------
    *models
        At least one, none twice: `LSTM`, `RNN`, `Dense`, or anything with `parameters` and `update`.
    learning_rate
        Finite, not negative. May be set between steps: ``adam.learning_rate = 1e-4``.
    betas
        Decay of the running means of the gradient and of its square, each from 0 to below 1.
    eps
        Finite and above 0 in every parameter's dtype; keeps a weight without gradients from dividing 0 by 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or cannot be.
    """

    def __init__(
        self,
        *models: Model,
        learning_rate: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        if not models:
            raise TypeError("models: expected at least one, got none")
        for k, model in enumerate(models):
            if isinstance(model, type) or not (hasattr(model, "parameters") and hasattr(model, "update")):
                raise TypeError(
                    f"models[{k}]: expected an object with parameters and update, got {checks.shown(model)}"
                )
            if any(model is earlier for earlier in models[:k]):
                raise ValueError(f"models[{k}]: expected every model once, got {checks.shown(model)} again")
        self.learning_rate = learning_rate
        beta1, beta2 = checks.pair(betas, "betas", ("beta1", "beta2"))
        self._betas = (_arguments.number(beta1, "betas[0]"), _arguments.number(beta2, "betas[1]"))
        for k, beta in enumerate(self._betas):
            if not 0 <= beta < 1:
                raise ValueError(f"betas[{k}]: expected a number from 0 to below 1, got {beta}")
        self._eps = _arguments.number(eps, "eps")
        if not 0 < self._eps < math.inf:
            raise ValueError(f"eps: expected a finite number above 0, got {self._eps}")
        for k, model in enumerate(models):
            for name, w in model.parameters.items():
                with checks.quiet():
                    rounded = w.dtype.type(self._eps)
                if not 0 < rounded < math.inf:  # 0 / 0 would be the step of a weight without gradients
                    raise ValueError(
                        f"eps: expected a number that is finite and above 0 in {w.dtype}, as models[{k}]'s"
                        f" {name!r} is, got {self._eps}"
                    )
        self._models = models
        self._steps = 0
        self._powers = (1.0, 1.0)  # beta1^t, beta2^t
        # For each model, m and v by name. Arrays are replaced, not written to.
        self._moments: list[dict[str, tuple[Array, Array]]] = [
            {name: (_nothing(w), _nothing(w)) for name, w in model.parameters.items()} for model in models
        ]

    @property
    def learning_rate(self) -> float:
        """Size of a step, about the most that a weight changes in one; finite, not negative."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        rate = _arguments.number(value, "learning_rate")
        if not 0 <= rate < math.inf:
            raise ValueError(f"learning_rate: expected a finite number that is not negative, got {rate}")
        self._learning_rate = rate

    def step(self, *gradients: Mapping[str, ArrayLike]) -> None:
        """Change every weight of every model, so that the loss falls.

        Everything is checked and computed before the first model is changed.

        Parameters
        ----------
        *gradients
            For each model, in the order they were given in, a mapping from each of its parameters' names to
            an array of its shape, such as ``grads.parameters``. They are taken in the parameter's dtype, in
            which the running means are kept, too.

        Raises
        ------
        TypeError, ValueError
            If mappings, names, shapes or types are not those of the models' parameters, or a gradient
            holds NaN, infinity or a number whose square is beyond its dtype (from 1.8e19 in float32): from
            these neither weights nor running means would recover. Then nothing has changed.
        MemoryError
            If there is no memory for new weights. Then, too, nothing has changed.
        """
        if len(gradients) != len(self._models):
            raise ValueError(
                f"gradients: expected {len(self._models)} mappings, one for each model, got {len(gradients)}"
            )
        weights = [model.parameters for model in self._models]
        checked = [
            _arguments.like(given, f"gradients[{k}]", expected)
            for k, (given, expected) in enumerate(zip(gradients, weights, strict=True))
        ]
        beta1, beta2 = self._betas
        # The corrections of m and v are numbers, so they are taken once and not for every weight. beta^t is a
        # product, which is the same on every machine; a power is the C library's.
        powers = (self._powers[0] * beta1, self._powers[1] * beta2)
        numbers = (beta1, beta2, self._learning_rate / (1 - powers[0]), math.sqrt(1 - powers[1]), self._eps)
        new_weights: list[dict[str, Array]] = []
        new_moments: list[dict[str, tuple[Array, Array]]] = []
        for model_weights, model_gradients, model_moments in zip(
            weights, checked, self._moments, strict=True
        ):
            new_w: dict[str, Array] = {}
            new_mv: dict[str, tuple[Array, Array]] = {}
            for name, g in model_gradients.items():
                w = checks.dense(model_weights[name], g.dtype)
                stepped = _core.adam(w, checks.dense(g, g.dtype), *model_moments[name], *numbers)
                if stepped is None:
                    raise _refusal(checked)
                new_w[name], m, v = stepped
                new_mv[name] = (m, v)
            new_weights.append(new_w)
            new_moments.append(new_mv)

        update_all(self._models, weights, new_weights)
        self._moments, self._powers, self._steps = new_moments, powers, self._steps + 1

    def __repr__(self) -> str:
        """Say how it is set, and how far it is."""
        return (
            f"<Adam of {len(self._models)} models, learning_rate={self._learning_rate}, betas={self._betas},"
            f" eps={self._eps}, {self._steps} steps>"
        )


def _nothing(w: Array) -> Array:
    """Zeros like w, in C order."""
    return np.zeros(w.shape, w.dtype)


def _refusal(gradients: list[dict[str, Array]]) -> ValueError:
    """Find of which gradients no step can be made, and say so."""
    for k, of_model in enumerate(gradients):
        _arguments.check_finite(of_model, f"gradients[{k}]")
    every = [(k, name, g) for k, of_model in enumerate(gradients) for name, g in of_model.items() if g.size]
    with checks.quiet():  # with an infinite square a weight would never move again
        k, name, g = max(every, key=lambda each: np.abs(each[2]).max() ** 2)
    return ValueError(
        f"gradients[{k}][{name!r}]: expected numbers whose squares {g.dtype} can hold,"
        f" got {np.abs(g).max():.3g}"
    )
