"""What both cells share: the number type, the sigmoid, and the products over all time steps at once."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) for any shape, as accurate for x = -700 as for x = 0, and never overflowing.

    It is exp(x) / (1 + exp(x)) where x < 0, so that nothing but exp of x <= 0 is ever taken.
    """
    y: Array = np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))
    return y


def input_product(x: Array, weight_ih: Array, bias_ih: Array | None, bias_hh: Array | None) -> Array:
    """Everything in z but the recurrent product, [T, B, G]: one product for all time steps."""
    T, B, _ = x.shape
    z_x = x.reshape(T * B, weight_ih.shape[1]) @ weight_ih.T
    if bias_ih is not None:
        z_x += bias_ih
    if bias_hh is not None:
        z_x += bias_hh
    return z_x.reshape(T, B, len(weight_ih))


def weight_gradient(dz: Array, inputs: Array) -> Array:
    """Gradient of a weight, [G, n], in z = weight inputs: the same at every step, so a sum over T and B."""
    T, B, G = dz.shape
    gradient: Array = dz.reshape(T * B, G).T @ inputs.reshape(T * B, inputs.shape[2])
    return gradient


def input_and_weight_gradients(
    dz: Array, x: Array, h_before: Array, weight_ih: Array
) -> tuple[Array, tuple[Array, Array, Array]]:
    """Gradients of z = weight_ih x + weight_hh h + bias with respect to x, and to the shared weights.

    The weights are the same at every step and for every row: their gradients are sums over T and B.
    """
    T, B, G = dz.shape
    rows = dz.reshape(T * B, G)
    dx = (rows @ weight_ih).reshape(x.shape)
    return dx, (weight_gradient(dz, x), weight_gradient(dz, h_before), rows.sum(axis=0))
