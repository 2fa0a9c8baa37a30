"""Losses: what is to fall, and its gradient with respect to the outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._base import checks
from .._base.checks import Array
from ..reference import sigmoid
from . import _arguments
from .dense import DenseTape, LogitGradient


def mean_squared_error(
    p: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None
) -> tuple[float, Array]:
    """Mean of (p - target)^2 over all places, and its gradient dp = 2 (p - target) / number of places.

    With weights w, sum of w (p - target)^2 / sum of w, and dp = 2 w (p - target) / sum of w.

    Parameters
    ----------
    p : float32 or float64, any shape but an empty one
        Outputs. Other real dtypes are taken as float64.
    target : the shape of p
        Real numbers, converted to p's dtype: what is beyond it becomes infinite.
    weight : the shape of p, or one that broadcasts to it
        How much each place counts: finite numbers that are not negative, or bools. Where it is 0, p and
        target may be anything, NaN too: steps past the ends of sequences, say, or gaps. None: all alike.

    Returns
    -------
    loss : float
    dp : shape and dtype of p

    Raises
    ------
    TypeError, ValueError
        If an argument is not an array of real numbers, shapes differ, or there is nothing to take the mean
        of.
    """
    p = _arguments.floating(p, "p")
    target = checks.real_array(target, "target")
    if target.shape != p.shape:  # NumPy would make [T, B, 1] - [T, B] a [T, B, B] in silence
        raise ValueError(f"target: expected shape {p.shape}, that of p, got {target.shape}")
    _check_not_empty(p, "p")
    target = checks.converted(target, p.dtype)
    if weight is not None:
        w, total = _weights(weight, p.shape, "that of p")
        with checks.quiet():
            difference = np.where(w > 0, p - target, p.dtype.type(0))
            loss = float(np.sum(w * np.square(difference, dtype=np.float64))) / total
            return loss, checks.converted(difference * (w * (2 / total)), p.dtype)
    with checks.quiet():
        difference = p - target
        loss = _core.sum_of_squares(checks.dense(difference, p.dtype), 1.0) / p.size
        return loss, difference * (2 / p.size)


def cross_entropy(
    tape: DenseTape, target: ArrayLike, weight: ArrayLike | None = None
) -> tuple[float, LogitGradient]:
    """Cross-entropy of a sigmoid or softmax head's outputs p with the targets t.

    sigmoid: mean of -(t log p + (1 - t) log(1 - p)) over all outputs.
    softmax: mean of -(sum of t log p over the classes) over all samples.

    It takes the head's tape, not p, because it needs the logits z. Where a confident head's p is rounded
    to 0 or 1, p no longer knows log p, and the gradient with respect to p is infinite or 0 / 0. In terms
    of z both are plain: log p is z minus a log of sums of exponentials, and dz = p - t (divided by the
    number of places or samples), in which the slope of the activation has cancelled.

    Parameters
    ----------
    tape
        Of the head's `forward`.
    target
        sigmoid: the shape of p, numbers from 0 to 1 (or bools).
        softmax: either integer classes from 0 to out_features - 1, in the shape of p without its last
        axis; or, in the shape of p, probabilities with a sum of 1 over the last axis (such as one-hot rows).
    weight
        sigmoid: the shape of p, or one that broadcasts to it. softmax: that of p without its last axis, or
        one that broadcasts to it. How much each output or sample counts, as in `mean_squared_error`: the loss
        is then a weighted mean. Where it is 0, targets may be anything of their dtype.

    Returns
    -------
    loss : float
    gradient : LogitGradient
        For ``head.backward(tape, gradient)``.

    Raises
    ------
    TypeError, ValueError
        If the tape is none or that of an identity head, the target is none of the above, or there is no
        output to take the mean over.
    """
    if not isinstance(tape, DenseTape):
        raise TypeError(
            "tape: expected the DenseTape that Dense.forward returns beside p (cross-entropy needs the"
            f" logits), got {checks.shown(tape)}"
        )
    if tape.activation == "identity":
        raise ValueError("tape: expected that of a sigmoid or softmax head, got that of an identity head")
    z = tape.logits
    given = checks.real_array(target, "target")
    if weight is not None:
        return _weighted_cross_entropy(tape.activation, z, given, weight)
    if tape.activation == "sigmoid":
        t = _probabilities(given, z)
        _check_not_empty(z, "p")
        with checks.quiet():
            losses, dz = _sigmoid_losses(z, t)
            return float(np.mean(losses, dtype=np.float64)), LogitGradient(dz / z.size)

    t = _one_hot(given, z) if given.shape == z.shape[:-1] else _probabilities(given, z, sum_to_one=True)
    _check_not_empty(z, "p")
    samples = z.size // z.shape[-1]
    with checks.quiet():
        losses, dz = _softmax_losses(z, t)
        return float(np.sum(losses, dtype=np.float64)) / samples, LogitGradient(dz / samples)


def _sigmoid_losses(z: Array, t: Array) -> tuple[Array, Array]:
    """Losses -(t log p + (1 - t) log(1 - p)) of each output, and dz of their sum."""
    # -log p = log(1 + exp(-z)) = max(-z, 0) + log1p(exp(-|z|)), and likewise for 1 - p.
    return np.maximum(z, 0) - t * z + np.log1p(np.exp(-np.abs(z))), sigmoid(z) - t


def _softmax_losses(z: Array, t: Array) -> tuple[Array, Array]:
    """Losses -(sum of t log p over the classes) of each sample [...], and dz [..., C] of their sum."""
    shifted = z - z.max(axis=-1, keepdims=True)
    e = np.exp(shifted)
    e_sum = e.sum(axis=-1, keepdims=True)
    losses: Array = -(t * (shifted - np.log(e_sum))).sum(axis=-1, dtype=np.float64)
    # The sum of t is 1 but for rounding; with it the gradient is that of the very loss above.
    dz: Array = e / e_sum * t.sum(axis=-1, keepdims=True) - t
    return losses, dz


def _weighted_cross_entropy(
    activation: str, z: Array, given: NDArray[Any], weight: ArrayLike
) -> tuple[float, LogitGradient]:
    """Do `cross_entropy`'s work with weights; where one is 0 a target is taken that can be."""
    _check_not_empty(z, "p")
    if activation == "sigmoid":
        w, total = _weights(weight, z.shape, "that of p")
        if given.shape == z.shape:
            given = np.where(w > 0, given, given.dtype.type(0))
        t = _probabilities(given, z)
        with checks.quiet():
            losses, dz = _sigmoid_losses(z, t)
    else:
        w, total = _weights(weight, z.shape[:-1], "that of p without its last axis")
        if given.shape == z.shape[:-1]:
            t = _one_hot(np.where(w > 0, given, given.dtype.type(0)), z)
        else:
            if given.shape == z.shape:
                given = np.where(w[..., np.newaxis] > 0, given, 1 / z.shape[-1])
            t = _probabilities(given, z, sum_to_one=True)
        with checks.quiet():
            losses, dz = _softmax_losses(z, t)
    counted = w > 0
    loss = float(np.sum(w * np.where(counted, losses, 0.0))) / total
    scale = w / total
    if activation == "softmax":
        counted, scale = counted[..., np.newaxis], scale[..., np.newaxis]
    return loss, LogitGradient(checks.converted(np.where(counted, dz, z.dtype.type(0)) * scale, z.dtype))


def _weights(weight: ArrayLike, shape: tuple[int, ...], symbols: str) -> tuple[Array, float]:
    """Find weights of this shape, which is called `symbols` in messages, and their sum."""
    given = checks.real_array(weight, "weight")
    try:
        w = np.broadcast_to(checks.converted(given, checks.FLOAT64), shape)
    except ValueError:
        raise ValueError(
            f"weight: expected shape {shape}, {symbols}, or one that broadcasts to it, got {given.shape}"
        ) from None
    bad = ~((w >= 0) & (w < np.inf))
    if bad.any():
        raise ValueError(f"weight: expected finite numbers that are not negative, got {w[bad][0]}")
    total = float(np.sum(w))
    if not 0 < total < np.inf:
        raise ValueError(f"weight: expected a finite sum above 0, got {total}")
    return w, total


def _one_hot(classes: NDArray[Any], z: Array) -> Array:
    """Targets [..., C] in the dtype of z, from integer classes [...]."""
    C = z.shape[-1]
    if classes.dtype.kind not in "iu":
        raise TypeError(
            f"target: expected integer classes {classes.shape} or probabilities {z.shape},"
            f" got dtype {classes.dtype}"
        )
    outside = (classes < 0) | (classes >= C)
    if outside.any():
        raise ValueError(f"target: expected classes from 0 to {C - 1}, got {classes[outside][0]}")
    t = np.zeros_like(z)
    np.put_along_axis(t, classes.astype(np.intp)[..., np.newaxis], 1, axis=-1)
    return t


def _probabilities(t: NDArray[Any], z: Array, *, sum_to_one: bool = False) -> Array:
    """Targets in the dtype of z, from numbers between 0 and 1."""
    if t.shape != z.shape:
        classes = f", or integer classes of shape {z.shape[:-1]}" if sum_to_one else ""
        raise ValueError(f"target: expected shape {z.shape}, that of p{classes}, got {t.shape}")
    bad = ~((t >= 0) & (t <= 1))  # so that NaN is bad, too
    if bad.any():
        raise ValueError(f"target: expected numbers from 0 to 1, got {t[bad][0]}")
    t = checks.converted(t, z.dtype)
    if sum_to_one:
        sums = t.sum(axis=-1)
        bad = np.abs(sums - 1) > 1e-3  # far above rounding, far below any mistake
        if bad.any():
            raise ValueError(f"target: expected a sum of 1 over the last axis, got {sums[bad][0]}")
    return t


def _check_not_empty(p: Array, name: str) -> None:
    if p.size == 0:
        raise ValueError(f"{name}: expected at least one output to take the mean over, got shape {p.shape}")
