"""The model: an LSTM that reads years, a linear output node that says the next one, and the scaling."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

import lstmfast
from lstmfast import LSTM
from lstmfast._files import writing
from lstmfast.training import Dense

from .series import Scaling

LSTM_FILE = "lstm.safetensors"
HEAD_FILE = "head.safetensors"


@dataclass(frozen=True)
class Forecaster:
    """Forecasts sunspot numbers, one year ahead or freely onward."""

    lstm: LSTM
    head: Dense
    scaling: Scaling

    @classmethod
    def new(cls, scaling: Scaling, hidden: int, seed: int) -> Forecaster:
        """Return a model with random weights."""
        return cls(LSTM(1, hidden, seed=seed), Dense(hidden, 1, seed=seed + 1), scaling)

    def next_years(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Forecast each year from all years before it: from numbers [Y], those of years 1 to Y, [Y].

        The last one is of the year after the series. Entry i is told nothing but ``numbers[: i + 1]``.
        """
        y, _ = self.lstm(self.scaling.to_model(numbers)[:, np.newaxis])
        return self.scaling.to_numbers(self.head(y)[:, 0])

    def run_freely(self, numbers: NDArray[np.float64], years: int) -> NDArray[np.float64]:
        """Forecast many years after the series, each from the forecasts before it, [years]."""
        x, state, forecasts = self.scaling.to_model(numbers)[:, np.newaxis], None, []
        for _ in range(years):
            y, state = self.lstm(x, state)
            x = self.head(y[-1:])
            forecasts.append(x[0, 0])
        return self.scaling.to_numbers(np.array(forecasts))

    def forecasts_as(self, other: Forecaster, numbers: NDArray[np.float64]) -> bool:
        """Whether another forecasts the same to the bit, as far as that is ours to say.

        What the output nodes are given is compared, and the nodes themselves: their product is NumPy's, which
        may have other last bits for an array in another place.
        """
        x = self.scaling.to_model(numbers)[:, np.newaxis]
        mine, others = self.head.parameters, other.head.parameters
        return (
            self.scaling == other.scaling
            and np.array_equal(self.lstm(x)[0], other.lstm(x)[0])
            and all(np.array_equal(mine[name], others[name]) for name in mine)
        )

    def save(self, folder: Path) -> None:
        """Write the LSTM to one file, the output node and the scaling to another."""
        self.lstm.save(folder / LSTM_FILE)
        scaling = {"mean": np.array(self.scaling.mean), "deviation": np.array(self.scaling.deviation)}
        writing.write(folder / HEAD_FILE, safetensors.numpy.save({**self.head.state_dict(), **scaling}))

    @classmethod
    def load(cls, folder: Path) -> Forecaster:
        """Read what `save` wrote."""
        lstm = lstmfast.load(folder / LSTM_FILE)
        assert isinstance(lstm, LSTM)
        tensors = safetensors.numpy.load_file(folder / HEAD_FILE)
        scaling = Scaling(float(tensors.pop("mean")), float(tensors.pop("deviation")))
        head = Dense(lstm.hidden_size, 1)
        head.load_state_dict(tensors)
        return cls(lstm, head, scaling)
