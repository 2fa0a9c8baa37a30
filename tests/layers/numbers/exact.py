"""The arithmetic of docs/numerics.md in NumPy: fused multiply-adds that round once, exp, sigmoid and tanh.

Written from that page and not from the kernels, so that both prove each other. NumPy adds, multiplies,
divides and takes roots one by one, each rounded to nearest, as the kernels do; a fused multiply-add it does
not have.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from ...helpers import Array


def rounded(value: Fraction, dtype: Any) -> Any:
    """Round a number to the nearest of `dtype`, of two to the even one; no infinity is near."""
    info = np.finfo(dtype)
    if value == 0:
        return info.dtype.type(0)
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if size < Fraction(2) ** exponent:
        exponent -= 1
    unit = max(exponent, int(info.minexp)) - int(info.nmant)
    # A whole number of units, below 2^53, times a power of two: exact in both.
    return np.ldexp(info.dtype.type(round(value / Fraction(2) ** unit)), unit)


def _fma_of_floats(a: Array, b: Array, c: Array) -> Array:
    """In float64, where a product of floats is exact; its sum with c is rounded to odd, and then once more.

    Rounded to odd: of the two neighbours the one with the odd last bit, unless the sum is exact. It has more
    digits than twice those of a float, so that the second rounding sees on which side of any middle it was.
    """
    product, addend = a.astype(np.float64) * b, c.astype(np.float64)
    total = product + addend
    part = total - product
    error = (product - (total - part)) + (addend - part)  # exact (Knuth's TwoSum)
    even = (total.view(np.int64) & 1) == 0
    other = np.nextafter(total, np.copysign(np.inf, error))
    odd = np.where((error != 0) & even, other, total)
    return odd.astype(np.float32)


def _fma_of_doubles(a: Array, b: Array, c: Array) -> Array:
    def one(x: float, y: float, z: float) -> float:
        exact = Fraction(x) * Fraction(y) + Fraction(z)
        return float(exact) if exact else x * y + z  # Python rounds to nearest; zeros have signs

    found = np.frompyfunc(one, 3, 1)(a, b, c)
    return np.asarray(found, np.float64)


def fma(a: Any, b: Any, c: Any) -> Array:
    """a * b + c, rounded once; of arrays (and numbers) of one dtype, finite."""
    a, b, c = np.broadcast_arrays(a, b, c)
    assert a.dtype == b.dtype == c.dtype
    return _fma_of_floats(a, b, c) if a.dtype == np.float32 else _fma_of_doubles(a, b, c)


def chain(start: Array, *products: tuple[Array, Array]) -> Array:
    """One chain for each output: start [B, N], then of each pair, v [B, K] and w [N, K], products by k."""
    total = start
    for v, w in products:
        for k in range(w.shape[1]):
            total = fma(v[:, k, np.newaxis], w[np.newaxis, :, k], total)
    return total


class _Constants:
    """exp(x) = 2^n (1 + q): n and r by these, q by a polynomial, its highest power first."""

    def __init__(self, dtype: Any) -> None:
        self.number = number = np.dtype(dtype).type
        self.log2e = number(1.44269504088896340736)
        if dtype == np.float32:
            self.ln2 = number(0.693147182464599609375), number(-1.904654299957767e-9)
            self.exp_limit, self.tanh_limit, self.digits = number(105), number(10), 23
            tail = "1.9875691500e-4 1.3981999507e-3 8.3334519073e-3 4.1665795894e-2 1.6666665459e-1"
            self.tail = [number(factor) for factor in (*tail.split(), "5.0000001201e-1")]
        else:
            self.ln2 = number(0.69314718055994528623), number(2.3190468138462995584e-17)
            self.exp_limit, self.tanh_limit, self.digits = number(750), number(20), 52
            factorials = np.cumprod(np.arange(1, 14, dtype=np.float64))
            self.tail = [number(1) / factor for factor in factorials[:0:-1]]


_CONSTANTS = {np.dtype(name): _Constants(name) for name in (np.float32, np.float64)}


def _exp(x: Array) -> tuple[Array, Array]:
    """n and q of exp(x) = 2^n (1 + q)."""
    c = _CONSTANTS[x.dtype]
    shift = c.number(
        1.5 * 2.0**c.digits
    )  # a number so large that its last digit is 1: the sum is rounded to a whole
    n = fma(x, c.log2e, shift) - shift
    r = fma(n, -c.ln2[1], fma(n, -c.ln2[0], x))
    p = np.full_like(x, c.tail[0])
    for factor in c.tail[1:]:
        p = fma(p, r, factor)
    return n.astype(int), fma(r * r, p, r)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), as the kernels do it."""
    c = _CONSTANTS[x.dtype]
    one = c.number(1)
    n, q = _exp(np.clip(-x, -c.exp_limit, c.exp_limit))
    s = np.ldexp(one, -np.abs(n))
    found: Array = np.where(np.signbit(x), s / (one + (q + s)), one / (one + fma(s, q, s)))
    return found


def tanh(x: Array) -> Array:
    """e / (e + 2), e = exp(2 |x|) - 1, with the sign of x."""
    c = _CONSTANTS[x.dtype]
    size = np.minimum(np.abs(x), c.tanh_limit)
    n, q = _exp(size + size)
    power = np.ldexp(c.number(1), n)
    e = fma(power, q, power - c.number(1))
    found: Array = np.copysign(e / (e + c.number(2)), x)
    return found
