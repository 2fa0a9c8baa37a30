"""`lstmfast forecast`: its options."""

from __future__ import annotations

import argparse
from pathlib import Path

from lstmfast._cli.options import Parser, UserError, add_threads, use_threads, whole

__all__ = ["add"]

# What a model's file says already.
LEARNING = ("period", "cell", "hidden", "layers", "epochs", "seed", "logarithms")


def add(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "forecast",
        help="forecast a series in a CSV or Parquet file, with intervals, beside honest baselines",
        description="Train an LSTM on a series, judge it on the last rows beside the last value, the same"
        " season of the last period and a linear autoregression, and forecast onward with 80 and 95 %%"
        " intervals measured on rows not learned from. Or apply a model that was learned before to new data.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "file", metavar="FILE", help="the series: CSV, or Parquet where pandas or polars is there"
    )
    parser.add_argument(
        "--column",
        metavar="NAME",
        action="append",
        default=[],
        help="what to forecast; repeated: several together (default: the first column of numbers)",
    )
    parser.add_argument("--time", metavar="NAME", help="the column of times (default: found by itself)")
    parser.add_argument(
        "--horizon",
        "--steps",
        metavar="N",
        type=whole(1, 10_000),
        help="rows ahead (default: by the step between rows, such as 24 hours, 12 months)",
    )
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="apply this file of an earlier run (model.safetensors); nothing is learned",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("lstmfast-forecast"),
        help="folder for the forecast, picture, evaluation and model (default: %(default)s)",
    )
    learning = parser.add_argument_group("learning")
    for name, kind, text in (
        ("period", _period, "rows of a season; 0: none (default: found by itself)"),
        ("hidden", whole(1, 1024), "hidden units (default: 24)"),
        ("layers", whole(1, 8), "layers (default: 1)"),
        ("epochs", whole(1, 100_000), "passes over the training rows, at most (default: 100)"),
        ("seed", whole(0, 2**32 - 1), "of the first weights and of the order of rows (default: 0)"),
    ):
        learning.add_argument(f"--{name}", metavar="N", type=kind, help=text)
    learning.add_argument("--cell", choices=("lstm", "gru"), help="kind of network (default: lstm)")
    learning.add_argument(
        "--no-logarithms",
        dest="logarithms",
        action="store_false",
        default=None,
        help="compute with numbers as they are, also where their spread grows with their level",
    )
    add_threads(parser)
    parser.add_argument("--quiet", action="store_true", help="say nothing but what is wrong")
    parser.set_defaults(run=_run)


def _period(text: str) -> int:
    period = whole(0, 100_000)(text)
    if period == 1:
        raise argparse.ArgumentTypeError("expected 0 (none) or at least 2 rows, got '1'")
    return period


def _run(options: argparse.Namespace) -> None:
    from lstmfast import _forecast

    chosen = {name: value for name in LEARNING if (value := getattr(options, name)) is not None}
    if options.model is not None and chosen:
        name = next(iter(chosen))
        option = "no-logarithms" if name == "logarithms" else name
        raise UserError(f"--{option}: nothing is learned with --model, which has been told that already")
    use_threads(options)
    try:
        _forecast.run(
            _forecast.Options(
                options.file,
                options.out,
                options.column,
                options.time,
                options.horizon,
                options.model,
                quiet=options.quiet,
                **chosen,
            )
        )
    except (_forecast.SeriesError, ImportError) as error:
        if isinstance(error, ImportError) and "pip install" not in str(error):
            raise
        raise UserError(str(error)) from None
