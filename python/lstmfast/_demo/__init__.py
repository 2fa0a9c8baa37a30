# Known by: _cli
"""`lstmfast demo`: train, forecast, look at gradients, measure. One subject a file; here is their order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstmfast import datasets

from . import gradients, report, speed
from .forecaster import Forecaster
from .pictures import Forecasts, draw_forecast, draw_gradients
from .series import HELD_OUT, windows
from .train import train

__all__ = ["forecast", "run"]

FREE_YEARS = 22  # two solar cycles


def run(folder: Path, *, epochs: int, seed: int, hidden: int) -> None:
    """Run the demo, say on stdout what comes out and save pictures and weights.

    Parameters
    ----------
    folder : Path
        Where to save; it must be there.
    epochs, seed, hidden : int
        As `train.train` has them.
    """
    console = report.Terminal()
    years, numbers = datasets.sunspots()
    training = numbers[:-HELD_OUT]

    console.print(f"Training on the yearly sunspot numbers {years[0]}-{years[-HELD_OUT - 1]}.")
    with report.training_bar(epochs) as on_epoch:
        model = train(training, epochs=epochs, hidden=hidden, seed=seed, on_epoch=on_epoch)
    forecasts = forecast(model, years, numbers)
    console.print(report.forecast_table(forecasts), "")
    draw_forecast(forecasts, folder / "forecast.png")

    model.save(folder)
    if not model.forecasts_as(Forecaster.load(folder), numbers):
        raise ArithmeticError("the saved and loaded weights forecast something else")
    console.print("Weights saved and loaded again: the forecast is the same to the bit.\n")

    curves = gradients.curves(seed)
    console.print(report.gradient_table(curves), "")
    draw_gradients(curves, folder / "gradients.png")

    whole = model.scaling.to_model(numbers)[:, np.newaxis, np.newaxis]
    batch, _ = windows(model.scaling.to_model(training))
    rows = speed.compare(model.lstm, [batch, whole])
    console.print(report.speed_table(hidden, rows), "")
    console.print(
        f"Rounds turn about, NumPy's BLAS has threads of its own, results agree to "
        f"{max(row.difference for row in rows):.0e} of the largest value."
    )
    console.print(f"Pictures and weights are in {folder}")


def forecast(model: Forecaster, years: NDArray[np.int64], numbers: NDArray[np.float64]) -> Forecasts:
    """Forecast the held-out years in three ways.

    One year ahead, every earlier year is known, held-out ones included: that is what "one year ahead" means,
    and the naive forecast knows as much. The free run is told the training years alone.
    """
    return Forecasts(
        years,
        numbers,
        held_out=HELD_OUT,
        lstm=model.next_years(numbers[:-1])[-HELD_OUT:],
        naive=numbers[-HELD_OUT - 1 : -1],
        free=model.run_freely(numbers[:-HELD_OUT], FREE_YEARS),
    )
