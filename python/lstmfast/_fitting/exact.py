"""Exponentials and logarithms made of basic operations alone.

NumPy's own are as good, but it has several, one for each instruction set, and so their last bits differ from
machine to machine. Sums, products and quotients are the same everywhere (IEEE 754), and so is what is made of
them. Method: Cody & Waite, "Software manual for the elementary functions", 1980: what is left after whole
multiples of log 2 goes into a power series.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .._base.checks import Array

Doubles = NDArray[np.float64]

# log 2 in two parts; the first has so few digits that a multiple of it by an exponent is exact.
_LOG2_HIGH, _LOG2_LOW = 0.693145751953125, 1.42860682030941723212e-6
_LOG2_INVERSE = 1.4426950408889634
_LOWEST = -745.2  # below it exp(x) is 0


def exp(x: Doubles) -> Doubles:
    """exp(x) of numbers that are not above 700, to 2 units of the last place. NaN stays NaN."""
    x = np.maximum(x, _LOWEST)  # lets NaN pass
    whole = np.rint(x * _LOG2_INVERSE)
    r = (x - whole * _LOG2_HIGH) - whole * _LOG2_LOW  # at most log(2)/2
    series = np.full_like(r, 1 / math.factorial(13))
    for n in range(12, -1, -1):
        series = series * r + 1 / math.factorial(n)
    exponent = np.where(np.isnan(whole), 0, whole).astype(np.int32)
    result: Doubles = np.ldexp(series, exponent)
    return result


def log(x: Doubles) -> Doubles:
    """log(x) of finite numbers above 0, to 2e-16 of the larger of 1 and itself. NaN stays NaN."""
    mantissa, exponent = np.frexp(x)
    small = mantissa < 0.7071067811865476
    mantissa = np.where(small, 2 * mantissa, mantissa)
    exponent = exponent - small
    s = (mantissa - 1) / (mantissa + 1)  # log m = 2 (s + s^3/3 + s^5/5 + ...), |s| < 0.172
    square = s * s
    series = np.full_like(s, 1 / 23)
    for n in range(21, 0, -2):
        series = series * square + 1 / n
    result: Doubles = exponent * _LOG2_HIGH + (exponent * _LOG2_LOW + 2 * s * series)
    return result


def softmax(z: Array) -> tuple[Doubles, Doubles]:
    """Probabilities of logits z [..., C], and the logarithms of them."""
    shifted = z.astype(np.float64)
    shifted = shifted - shifted.max(axis=-1, keepdims=True)
    e = exp(shifted)
    total = e.sum(axis=-1, keepdims=True)
    return e / total, shifted - log(total)
