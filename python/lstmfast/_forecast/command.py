"""`lstmfast forecast`: read, learn, judge, forecast, write; or read, load a model, forecast, write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .._fitting import Settings
from . import outputs, progress, reading, report, saved
from .errors import SeriesError
from .forecaster import Forecaster, Prediction
from .parts import Parts
from .series import Series, choose

__all__ = ["Options", "run"]

BATCH = 8
USUAL = 12  # rows ahead, where nothing suggests another number
EXTRA = "pip install 'lstmfast[forecast]'"


@dataclass(frozen=True)
class Options:
    """What the command was told; None: not.

    Attributes
    ----------
    file : str
        CSV or Parquet.
    out : Path
        The folder for what is written.
    model : str or None
        A model's file, which is applied; nothing is learned then.
    """

    file: str
    out: Path
    columns: Sequence[str] = ()
    time: str | None = None
    horizon: int | None = None
    model: str | None = None
    period: int | None = None
    cell: str = "lstm"
    hidden: int = 24
    layers: int = 1
    epochs: int = 100
    seed: int = 0
    logarithms: bool = True
    quiet: bool = False


def run(options: Options) -> None:
    """Do it, and say on stdout what came of it.

    Raises
    ------
    SeriesError
        If something about the series, the model or the folder has to be put right first. Nothing is written
        then.
    OSError
        If a file cannot be read or written.
    """
    model = None if options.model is None else _loaded(options.model)
    names = options.columns
    if model is not None:
        if names and list(names) != list(model.names):
            raise SeriesError(
                f"--column: {options.model} is a model of {', '.join(map(repr, model.names))}, all needed;"
                f" got {', '.join(map(repr, names))}"
            )
        names = model.names
    option = "--column" if model is None else f"--model {options.model}"
    series = choose(reading.read(options.file), names, options.time, option=option)
    learning = () if model else (outputs.EVALUATION, outputs.MODEL)
    outputs.check(options.out, [outputs.FORECAST, outputs.PICTURE, *learning])

    def say(lines: Sequence[str]) -> None:
        if not options.quiet:
            print("\n".join(lines), flush=True)

    say(report.heading(series))
    if model is None:
        model = _learned(series, options)
        say(report.evaluation(series, model))
    else:
        _check_step(series, model, options)
    try:
        prediction = model.predict(series.values, options.horizon if options.model else None)
    except SeriesError as error:
        raise SeriesError(f"{series.source}: {error}") from None
    files, notes = _files(series, model, prediction)
    outputs.write(options.out, files)
    say(["", *report.forecast(series, prediction), "", *notes])
    say([f"In {options.out}: {', '.join(files)}"])


def _learned(series: Series, options: Options) -> Forecaster:
    rows = len(series.values)
    seasons = series.step.seasons()
    horizon = options.horizon
    if horizon is None:
        Parts.of(rows, 1, series.source)
        horizon = min(_usual(seasons), rows // 10)
    Parts.of(rows, horizon, series.source)
    forecaster = Forecaster(
        horizon=horizon,
        cell=options.cell,
        hidden_size=options.hidden,
        num_layers=options.layers,
        period=options.period,
        seasons=seasons,
        settings=Settings(epochs=options.epochs, batch_size=BATCH, patience=10, seed=options.seed),
        seed=options.seed,
        logarithms=options.logarithms,
        names=series.names,
        step=str(series.step),
    )
    try:
        with progress.shown(options.epochs, options.quiet) as on_epoch:
            return forecaster.fit(series.values, filled=series.filled, on_epoch=on_epoch)
    except (SeriesError, FloatingPointError) as error:
        raise SeriesError(f"{series.source}: {error}") from None


def _usual(seasons: Sequence[int]) -> int:
    """Return a horizon that people would ask for: a day of hours, two weeks of days, a year of months."""
    season = seasons[0] if seasons else USUAL
    if season > 48:
        return USUAL
    return 2 * season if season < 8 else season


def _loaded(path: str) -> Forecaster:
    try:
        return Forecaster.load(path)
    except (ImportError, ValueError) as error:
        raise SeriesError(f"--model: {error}") from None


def _check_step(series: Series, model: Forecaster, options: Options) -> None:
    if str(series.step) != model.step:
        raise SeriesError(
            f"{series.source}: expected a step of {model.step} between rows, as {options.model} has learned,"
            f" got {series.step}"
        )
    if options.horizon is not None and options.horizon > model.horizon:
        raise SeriesError(
            f"--horizon: {options.model} forecasts {model.horizon} rows ahead at most, got {options.horizon}"
        )


def _files(series: Series, model: Forecaster, prediction: Prediction) -> tuple[dict[str, bytes], list[str]]:
    """Make what is to be written, and what is to be said of what is not."""
    files, notes = {outputs.FORECAST: outputs.forecast_csv(series, prediction)}, []
    if model.evaluation is not None:
        files[outputs.EVALUATION] = outputs.evaluation_csv(series, model.evaluation)
    try:
        from . import picture
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "matplotlib":
            raise
        notes.append(f"No picture: it needs matplotlib ({EXTRA}).")
    else:
        files[outputs.PICTURE] = picture.draw(series, prediction, model.evaluation)
    if model.learned is not None and model.evaluation is not None:  # one that was loaded has a file already
        try:
            files[outputs.MODEL] = saved.to_bytes(model.learned)
        except ImportError:
            notes.append(f"No model file: it needs safetensors ({EXTRA}).")
    return files, notes
