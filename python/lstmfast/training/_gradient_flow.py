"""How much of a loss at the last time step reaches the state at each earlier one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._base import checks
from .._base.checks import Array
from .._layers.recurrent import Recurrent

__all__ = ["GradientFlow", "gradient_flow"]


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """Norms of the gradient that arrives at the state after each time step.

    Entry t belongs to the state *after* step t (counted from 0), so the last entry is where the loss enters.
    Each norm is Euclidean, taken over all layers, batch rows and units together.

    Attributes
    ----------
    h : float64 array [T]
        ``|dloss/dh_t|``.
    c : float64 array [T] or None
        ``|dloss/dc_t|`` of an LSTM (0 at the last step: the output does not read c but through h). None for
        an RNN, which has no c.
    norm : float64 array [T]
        Both joined: ``sqrt(h**2 + c**2)``, or h for an RNN.
    """

    h: NDArray[np.float64]
    c: NDArray[np.float64] | None
    norm: NDArray[np.float64]


def gradient_flow(
    model: Recurrent[Any, Any], x: ArrayLike, loss: Callable[[Array], tuple[Any, ArrayLike]]
) -> GradientFlow:
    """Show whether gradients vanish or explode on their way back through time.

    Write s_t for the state after step t (h of every layer, and c for an LSTM). The state is all that later
    steps know of earlier ones, so a loss at the last step T reaches s_t through the product of the
    Jacobians between them::

        dloss/ds_t = dloss/ds_T  ds_T/ds_{T-1}  ...  ds_{t+1}/ds_t

    For an RNN, h' = tanh(U x + V h + b), each factor is ``diag(1 - h'**2) V``. Where the largest singular
    value of every factor stays below 1 the product shrinks exponentially with T - t: the gradient vanishes
    and what happened early cannot be learned. Where the factors stretch, it can grow as fast: it explodes.
    An LSTM has besides this a path from c_t to c_{t+1} with the factor f alone: units whose forget gate is
    near 1 hand the gradient on unchanged.

    Parameters
    ----------
    model : LSTM, GRU, RNN or LayerNormLSTM
        Unidirectional, of any number of layers.
    x : array [T, B, I], [B, T, I] with ``batch_first``, or [T, I]
        The input, with at least one time step, row and input.
    loss : callable
        ``loss(y_last) -> (value, dy_last)``: from the output after the last step, [B, H] (or [H] for [T, I];
        with P for H where there is a projection), to the loss and its gradient, of the same shape. Only the
        gradient is used. The losses of `lstmfast.training` have this form:
        ``lambda y: mean_squared_error(y, target)``.

    Returns
    -------
    GradientFlow
        The norms, one per time step, first step first.

    Raises
    ------
    TypeError
        If `model` is no such layer, or `loss` is not callable or does not return a pair.
    ValueError
        If the model is bidirectional, x has a wrong shape or no time step, or dy_last has not y_last's shape.

    Notes
    -----
    Runs in the model's own dtype, and without dropout, as a call does. A float32 gradient below about 1e-45
    is 0; use float64 to follow a vanishing one further. Memory is that of a training step: one small tape
    per time step.

    References
    ----------
    Y. Bengio, P. Simard, P. Frasconi, "Learning long-term dependencies with gradient descent is difficult",
    IEEE Transactions on Neural Networks 5(2), 1994. R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of
    training recurrent neural networks", ICML 2013.
    """
    sequence, batched = _checked(model, x, loss)
    model = model._without_dropout()
    # One step at a time: the state after each is then something that `backward` gives a gradient for.
    state: Any = None
    tapes = []
    for step in _steps(sequence, model.batch_first):
        y, state, tape = model.forward(step, state)
        tapes.append(tape)

    y_last = y[:, 0] if model.batch_first else y[0]
    dy_last = _gradient_of(loss, y_last if batched else y_last[0], model._layout.output_symbol).reshape(
        y_last.shape
    )
    dstate = _entering(dy_last, state)
    norms = [_norms(dstate)]
    for tape in reversed(tapes[1:]):
        dstate = model.backward(tape, None, dstate).state
        norms.append(_norms(dstate))

    h, c = (np.array(column) for column in zip(*reversed(norms), strict=True))
    if isinstance(state, tuple):
        return GradientFlow(h, c, np.hypot(h, c))
    return GradientFlow(h, None, h.copy())


def _checked(model: object, x: ArrayLike, loss: object) -> tuple[Array, bool]:
    """Check the arguments; return x with three axes in the model's layout, and whether it came so."""
    if not isinstance(model, Recurrent):
        raise TypeError(f"model: expected an LSTM, a GRU or an RNN, got {checks.shown(model)}")
    if model.bidirectional:
        raise ValueError(
            "model: expected one direction, got a bidirectional model: its last output reads the reverse pass"
            " as well, so there is no state through which alone the loss reaches earlier steps"
        )
    if model.direction == "reverse":
        raise ValueError(
            "model: expected the forward direction, got direction='reverse': its last step is the first that"
            " it takes, so that the loss reaches no other"
        )
    if not callable(loss):
        raise TypeError(f"loss: expected a function y_last -> (value, dy_last), got {checks.shown(loss)}")
    row_bytes = model._layout.output_size * model.dtype.itemsize
    sequence, batched = checks.sequence(x, model.input_size, model.batch_first, model.dtype, row_bytes)
    if 0 in sequence.shape:
        raise ValueError(f"x: expected at least one time step and one row, got shape {np.shape(x)}")
    return sequence, batched


def _steps(sequence: Array, batch_first: bool) -> Iterator[Array]:
    """Cut a sequence into sequences of one step."""
    for t in range(sequence.shape[1 if batch_first else 0]):
        yield sequence[:, t : t + 1] if batch_first else sequence[t : t + 1]


def _gradient_of(loss: Callable[[Array], object], y_last: Array, width: str) -> Array:
    """Ask the loss for its gradient, and check it. width: what messages call y_last's last axis."""
    result = loss(y_last)
    expected = "loss(y_last): expected a pair (value, dy_last)"
    if not isinstance(result, (tuple, list)):
        raise TypeError(f"{expected}, got {checks.shown(result)}")
    if len(result) != 2:
        raise ValueError(f"{expected}, got {checks.shown(result)}")
    axes = f"[B, {width}]" if y_last.ndim == 2 else f"[{width}]"
    return checks.exact(result[1], "dy_last", y_last.shape, axes, y_last.dtype)


def _entering(dy_last: Array, state: Array | tuple[Array, Array]) -> Array | tuple[Array, Array]:
    """Return dloss/d(this last state): y is the last layer's h, and the loss reads nothing else."""
    h, c = state if isinstance(state, tuple) else (state, None)
    dh = np.zeros_like(h)
    dh[-1] = dy_last
    return dh if c is None else (dh, np.zeros_like(c))


def _norms(dstate: Array | tuple[Array, Array]) -> tuple[float, float]:
    """Return the norms of dh and of dc (0 for an RNN)."""
    return (_norm(dstate[0]), _norm(dstate[1])) if isinstance(dstate, tuple) else (_norm(dstate), 0.0)


def _norm(array: Array) -> float:
    """Euclidean norm whose squares neither overflow nor vanish: gradients here come in every size."""
    largest = float(np.abs(array).max())
    if largest == 0.0 or not np.isfinite(largest):
        return largest
    return largest * float(np.linalg.norm(array.astype(np.float64) / largest))
