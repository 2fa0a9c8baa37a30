"""A linear autoregression: the next row from earlier ones by least squares, and on from its own forecasts.

    w_t = a + sum over lags k of w_{t-k} B_k

w is the series or its differences from row to row. Lags are the last few rows and, where there is a season,
the three around the same time of the last one: Box and Jenkins' seasonal autoregression, without moving
averages.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import SeriesError

__all__ = ["Form", "Linear"]

_Values = NDArray[np.float64]
MOST_ROWS = 50_000  # that are fitted: the last ones
BLOCK = 4096  # origins at a time


@dataclass(frozen=True)
class Form:
    """What the equation looks like.

    Attributes
    ----------
    order : int
        How many of the last rows it reads.
    period : int
        Rows of a season; 0: none.
    differenced : bool
        Whether w is the differences.
    together : bool
        Whether every column reads the last rows of all columns, not of itself alone.
    """

    order: int
    period: int = 0
    differenced: bool = False
    together: bool = False

    @property
    def lags(self) -> list[int]:
        """Return the lags of w, from 1 on."""
        seasonal = [lag for lag in (self.period - 1, self.period, self.period + 1) if lag > self.order]
        return [*range(1, self.order + 1), *(seasonal if self.period else [])]

    @property
    def reach(self) -> int:
        """How many rows it needs to have read: before, there is no forecast."""
        return self.lags[-1] + self.differenced


@dataclass(frozen=True)
class Linear:
    """A fitted one.

    Attributes
    ----------
    form : Form
    constant : float64 array [C]
    weights : float64 array [K, C, C]
        B of each lag.
    """

    form: Form
    constant: _Values
    weights: _Values

    @classmethod
    def fit(cls, form: Form, z: _Values, observed: NDArray[np.bool_]) -> Linear:
        """Fit z [N, C], where observed [N, C] says which of its numbers count as a truth.

        A row counts if nothing is missing in the one before it: what fills a gap leads to the row after it.
        """
        z, observed = z[-MOST_ROWS:], observed[-MOST_ROWS:]
        w = np.diff(z, axis=0) if form.differenced else z
        whole = np.asarray(observed.all(axis=1))
        fair = observed[1:] & whole[:-1, np.newaxis]
        observed = fair if form.differenced else np.concatenate([observed[:1], fair])
        lags, C = form.lags, z.shape[1]
        first = lags[-1]
        past = np.stack([w[first - lag : len(w) - lag] for lag in lags], axis=1)  # [n, K, C]
        constant, weights = np.zeros(C), np.zeros((len(lags), C, C))
        for c in range(C):
            near = np.array(lags) <= form.order
            read = np.zeros((len(lags), C), bool)
            read[:, c] = True
            if form.together:
                read[near] = True
            rows = observed[first:, c]
            if not rows.any():
                raise SeriesError("values: expected rows to learn from, got too much that is missing")
            matrix = np.column_stack([np.ones(rows.sum()), past[rows][:, read]])
            # Least squares by the normal equations, with a trace of a ridge against columns that are alike.
            square = matrix.T @ matrix
            square.flat[:: len(square) + 1] += 1e-8 * len(matrix)
            solved = np.linalg.solve(square, matrix.T @ w[first:, c][rows])
            constant[c] = solved[0]
            weights[:, :, c][read] = solved[1:]
        return cls(form, constant, weights)

    def forecast(self, z: _Values, origins: NDArray[np.int64], horizon: int) -> _Values:
        """Forecast from the rows `origins` of z [N, C]: [n, horizon, C]; NaN where it has not read enough."""
        out = np.full((len(origins), horizon, z.shape[1]), np.nan)
        able = np.flatnonzero(origins >= self.form.reach - 1)
        for first in range(0, len(able), BLOCK):
            places = able[first : first + BLOCK]
            out[places] = self._block(z, origins[places], horizon)
        return out

    def _block(self, z: _Values, origins: NDArray[np.int64], horizon: int) -> _Values:
        lags, deepest = self.form.lags, self.form.lags[-1]
        w = np.diff(z, axis=0, prepend=np.nan) if self.form.differenced else z
        known = np.empty((deepest + horizon, len(origins), z.shape[1]))
        known[:deepest] = w[origins + np.arange(1 - deepest, 1)[:, np.newaxis]]
        # Of one column the same product, in half the time.
        times = np.multiply if z.shape[1] == 1 else np.matmul
        for h in range(deepest, deepest + horizon):
            known[h] = self.constant
            for lag, weight in zip(lags, self.weights, strict=True):
                known[h] += times(known[h - lag], weight)
        ahead = known[deepest:].swapaxes(0, 1)
        if self.form.differenced:
            ahead = z[origins][:, np.newaxis] + np.cumsum(ahead, axis=1)
        return np.ascontiguousarray(ahead)
