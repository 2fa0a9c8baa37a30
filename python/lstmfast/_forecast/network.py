"""The network: after every row it says how the next ones will differ from the best baseline's forecast.

What it reads of a row are numbers that say the same wherever the series has got to: the change since the last
row, since the last season, and by how much the baseline was wrong; and the level itself only where the series
comes back to one. Its weights begin with a head of zeros, which is the baseline itself, and unless training
makes that better on held-out rows, by more than chance does (a 95 % interval), it stays so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import GRU, LSTM
from .._fitting import Batch, History, Settings, Windows, fit, horizons
from .._fitting.model import Model
from ..training import Dense
from .baselines import LINEAR, Baselines
from .errors import SeriesError
from .evaluation import compare, residuals

__all__ = ["Network", "Shape"]

_Values = NDArray[np.float64]
FURTHEST = 10.0  # deviations: what is beyond is read as that, so that one outlier does not drown the rest
MOST_WINDOWS = 4096
EVALUATED = 64  # blocks that are read side by side


@dataclass(frozen=True)
class Shape:
    """What the network is like, as the user chooses it."""

    cell: str = "lstm"
    hidden_size: int = 24
    num_layers: int = 1


@dataclass(frozen=True)
class Units:
    """By what inputs and targets are divided.

    Attributes
    ----------
    inputs : float64 array [F]
    targets : float64 array [H, C]
        Root mean square of the baseline's errors over the training part.
    """

    inputs: _Values
    targets: _Values


class Network:
    """A recurrent layer and a head, with what they read.

    Parameters
    ----------
    shape : Shape
    baselines : Baselines
        Its anchor is what the network corrects.
    horizon : int
        H, rows ahead.
    context : int
        Rows that are read before the first that is scored: each forecast has read from `context` to twice as
        many.
    units : Units
    seed : int
        Of the first weights.
    """

    def __init__(
        self, shape: Shape, baselines: Baselines, horizon: int, context: int, units: Units, seed: int = 0
    ) -> None:
        self.shape, self.baselines, self.horizon, self.context, self.units = (
            shape,
            baselines,
            horizon,
            context,
            units,
        )
        make = {"lstm": LSTM, "gru": GRU}[shape.cell]
        self.layer: Any = make(len(units.inputs), shape.hidden_size, num_layers=shape.num_layers, seed=seed)
        self.head = Dense(shape.hidden_size, units.targets.size)
        self.silence()

    @classmethod
    def new(
        cls,
        shape: Shape,
        baselines: Baselines,
        z: _Values,
        observed: NDArray[np.bool_],
        anchor: _Values,
        train: int,
        seed: int,
    ) -> Network:
        """Make one for a series z [N, C], of whose first `train` rows it learns the units.

        observed [N, C] says which of its numbers count as a truth; anchor [N, H, C] is `Baselines.ahead(z)`.
        """
        horizon = anchor.shape[1]
        longest = max(baselines.period, horizon)
        context = max(8, min(128, max(32, 2 * longest), train // 4))
        reach = baselines.reach
        read = _read(z[:train], baselines)
        wrong = _wrong(z[:train], observed[:train], anchor[:train])[reach:]
        if np.isnan(wrong).all(axis=0).any():
            raise SeriesError("values: expected rows to learn from, got too much that is missing")
        inputs = np.sqrt(np.mean(read[reach + 1 :] ** 2, axis=0))
        targets = np.sqrt(np.nanmean(wrong**2, axis=0))
        # A column that the baseline foretells exactly has no unit of its own.
        units = Units(np.where(inputs > 0, inputs, 1.0), np.where(targets > 1e-9, targets, 1.0))
        return cls(shape, baselines, horizon, context, units, seed)

    def silence(self) -> None:
        """Set the head to zero: the forecast is then the baseline's."""
        self.head.update({name: np.zeros_like(w) for name, w in self.head.parameters.items()})

    @property
    def is_silent(self) -> bool:
        """Whether the forecast is the baseline's."""
        return not any(w.any() for w in self.head.parameters.values())

    def train(
        self,
        z: _Values,
        observed: NDArray[np.bool_],
        anchor: _Values,
        train: int,
        stop: int,
        settings: Settings,
        on_epoch: Callable[[int, float, float | None], Any] | None = None,
    ) -> History:
        """Learn from the rows before `train`, and stop by those from there to `stop`.

        Parameters
        ----------
        z : [N, C]
        observed : bool array [N, C]
            Which of its numbers count as a truth.
        anchor : [N, H, C]
            `Baselines.ahead(z)`.
        """
        data, later = self.windows(z, observed, anchor, train, stop)
        history = fit(self.layer, self.head, data, held_out=later, settings=settings, on_epoch=on_epoch)
        # The rows that have chosen the epoch cannot be quite fair, so that not just any gain will do.
        truth = np.where(observed, z, np.nan)[:stop]
        theirs = residuals(truth, anchor[:stop], train, stop)
        ours = residuals(truth, anchor[:stop] + self.corrections(z[:stop]), train, stop)
        if compare(ours, theirs, np.ones(z.shape[1]), "").high >= 0:
            self.silence()
        return history

    def windows(
        self, z: _Values, observed: NDArray[np.bool_], anchor: _Values, train: int, stop: int
    ) -> tuple[Windows, Windows]:
        """Cut what is learned from, and what training is stopped by; arguments as `train` has them.

        Windows are twice the context, of which the second half is scored. Those of the training part overlap
        by half of that, so that each row is scored with more and less before it.
        """
        inputs = self._padded(z[:stop])
        targets = _wrong(z[:stop], observed[:stop], anchor[:stop]) / self.units.targets
        # [stop, H]: of which row a target is.
        rows = np.arange(stop)[:, np.newaxis] + np.arange(1, self.horizon + 1)
        length, scored = 2 * self.context, self.context

        def windows(wanted: NDArray[np.bool_], stride: int) -> Windows:
            chosen = np.where(wanted[..., np.newaxis], targets, np.nan).astype(np.float32)
            known = ~np.isnan(chosen).all(axis=(1, 2))
            able = np.flatnonzero(known)
            if not able.size:
                raise SeriesError("values: expected rows to learn from, got too much that is missing")
            # Ends of windows, the last row first: a window has at least one row that is scored.
            ends = np.arange(able[-1], able[0] - 1, -stride)
            if len(ends) > MOST_WINDOWS:
                ends = ends[np.linspace(0, len(ends) - 1, MOST_WINDOWS).astype(np.int64)]
            starts = np.maximum(ends + 1 - scored, 0)
            sums = np.concatenate([[0], np.cumsum(known)])
            starts = np.unique(starts[sums[np.minimum(starts + scored, stop)] > sums[starts]])
            padding = np.full((self.context, *chosen.shape[1:]), np.nan, np.float32)
            both = np.concatenate([padding, chosen])
            return Windows(inputs, both.reshape(len(both), -1), length, starts=starts, warm_up=self.context)

        data = windows(rows < train, max(1, self.context // 2))
        return data, windows((rows >= train) & (rows < stop), self.context)

    def forecast(self, z: _Values) -> _Values:
        """Forecast from every row of z [N, C]: [N, H, C]. NaN before the baseline has read enough."""
        return self.baselines.ahead(z, self.horizon) + self.corrections(z)

    def corrections(self, z: _Values) -> _Values:
        """Return by how much the head says after each row that the anchor is wrong, [N, H, C].

        Blocks of `context` rows, each read after the rows of the block before it, the last of which ends with
        z.
        """
        N, C, scored = len(z), z.shape[1], self.context
        blocks = -(-N // scored)
        front = blocks * scored - N
        inputs = self._padded(z)
        inputs = np.concatenate([np.zeros((front, inputs.shape[1]), np.float32), inputs])
        out = np.empty((blocks, scored, self.horizon, C))
        model = Model(self.layer, self.head, each_step=True, skipped=scored)
        for first in range(0, blocks, EVALUATED):
            some = np.arange(first, min(first + EVALUATED, blocks))
            x = inputs[some * scored + np.arange(2 * scored)[:, np.newaxis]]
            said = model.logits(Batch(x, x))  # [scored, blocks, H C]
            out[some] = said.swapaxes(0, 1).reshape(len(some), scored, self.horizon, C)
        return out.reshape(blocks * scored, self.horizon, C)[front:] * self.units.targets

    def _padded(self, z: _Values) -> NDArray[np.float32]:
        """Return what is read, [context + N, F], with zeros for what was before the series."""
        read = np.clip(_read(z, self.baselines) / self.units.inputs, -FURTHEST, FURTHEST)
        return np.concatenate([np.zeros((self.context, read.shape[1])), read]).astype(np.float32)


def _wrong(z: _Values, observed: NDArray[np.bool_], anchor: _Values) -> _Values:
    """Return the anchor's errors, [N, H, C]; NaN where there is no truth, or it was said from within a gap.

    See `evaluation.residuals`: what fills a gap knows what comes after.
    """
    found = horizons(np.where(observed, z, np.nan), anchor.shape[1]) - anchor
    found[~observed.all(axis=1)] = np.nan
    return found


def _read(z: _Values, baselines: Baselines) -> _Values:
    """Return the inputs of every row, not yet in their units, [N, F]; 0 where there is nothing before."""
    columns = [np.diff(z, axis=0, prepend=z[:1])]
    columns.append(z[:, list(baselines.returns)])
    if baselines.period:
        columns.append(np.zeros_like(z))
        columns[-1][baselines.period :] = z[baselines.period :] - z[: -baselines.period]
    if baselines.anchor == LINEAR:
        ahead = baselines.linear.forecast(z, np.arange(len(z) - 1), 1)[:, 0]
        columns.append(np.nan_to_num(z - np.concatenate([np.full_like(z[:1], np.nan), ahead])))
    return np.concatenate(columns, axis=1)
