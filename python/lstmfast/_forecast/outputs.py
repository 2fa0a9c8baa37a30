"""What a run leaves: the forecast and the evaluation as CSV, a picture, the model."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .._files import writing
from .errors import SeriesError
from .evaluation import Evaluation
from .forecaster import Prediction
from .intervals import LEVELS
from .series import Series

__all__ = ["EVALUATION", "FORECAST", "MODEL", "PICTURE", "check", "evaluation_csv", "forecast_csv", "write"]


FORECAST, PICTURE = "forecast.csv", "forecast.png"
EVALUATION, MODEL = "evaluation.csv", "model.safetensors"  # of what was learned in this run


def check(folder: Path, names: Iterable[str]) -> None:
    """See that the folder can be made, and files of these names be written there; nothing is left behind.

    Before anything is learned, which may take long.

    Raises
    ------
    SeriesError
        If not.
    """
    there, place = folder.absolute(), folder
    try:
        while not os.path.lexists(there):
            there = there.parent
        with tempfile.TemporaryFile(dir=there):
            pass
        if there == folder.absolute():
            for name in names:
                place = folder / name
                writing.check(place)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SeriesError(f"--out: cannot write to {str(place)!r}: {reason}") from None


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write all files, which are made by now, or none: a forecast never lies beside another's evaluation.

    Raises
    ------
    OSError
        If one cannot be written; it names that one. A folder that was not there is not there then.
    """
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writing.write_all({folder / name: data for name, data in files.items()})
    except BaseException:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def forecast_csv(series: Series, prediction: Prediction) -> bytes:
    """Make a table of times and, for every column, its forecast and the ends of its intervals.

    Columns are called by the series' names: load, load_lower_80, load_upper_80, load_lower_95, load_upper_95.
    """
    header = [series.time_name]
    columns = [series.shown(series.ahead(len(prediction.mean)))]
    for c, name in enumerate(series.names):
        header.append(name)
        columns.append(_text(prediction.mean[:, c]))
        for k, level in enumerate(LEVELS):
            for end, values in (("lower", prediction.lower), ("upper", prediction.upper)):
                header.append(f"{name}_{end}_{level:.0%}".rstrip("%"))
                columns.append(_text(values[k, :, c]))
    return _csv([header, *zip(*columns, strict=True)])


def evaluation_csv(series: Series, evaluation: Evaluation) -> bytes:
    """One row for every step ahead, column and way of forecasting; coverage in those of the network."""
    rows: list[Iterable[str]] = [
        ["rows_ahead", "column", "forecast", "mae", "rmse", "mase_of_all_columns"]
        + [f"within_{level:.0%}".rstrip("%") for level in LEVELS]
    ]
    for h in range(len(evaluation.network.mae)):
        for c, name in enumerate(series.names):
            for scores in (evaluation.network, *evaluation.baselines):
                held: Iterable[float] = evaluation.coverage[:, h] if scores is evaluation.network else []
                rows.append(
                    [str(h + 1), name, scores.name]
                    + _text([scores.mae[h, c], scores.rmse[h, c], scores.scaled[h]])
                    + (_text(held) or [""] * len(LEVELS))
                )
    return _csv(rows)


def _text(values: Iterable[float]) -> list[str]:
    """Write numbers with as many digits as a forecast can mean: nine."""
    return [f"{value:.9g}" for value in np.asarray(values, np.float64).tolist()]


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8")
