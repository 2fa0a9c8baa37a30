"""Files with anything in them: a regular series of finite numbers, or one line that says what is wrong."""

from __future__ import annotations

import random

import numpy as np
import pytest

from lstmfast._forecast.errors import SeriesError
from lstmfast._forecast.series import choose

from .helpers import csv_of, table

HOURS = np.datetime64("2024-01-01T00", "h") + np.arange(60)
FILES = {
    "hours": csv_of(HOURS, np.arange(60) * 1.5, np.arange(60) % 7, names="when,y,z"),
    "dots and commas": "Datum;Last\n" + "".join(f"{k}.1.2024 4:05;{k},5\n" for k in range(1, 32)),
    "quarters": "d\tv\n" + "".join(f"{2000 + k // 4}Q{1 + k % 4}\t{k}\n" for k in range(60)),
    "strokes": "d,v\n" + "".join(f"1/{k}/2024 1:00 PM,{k}\n" for k in range(1, 32)),
    "weeks": "d|v\n" + "".join(f"2024-W{k:02d}|{k}\n" for k in range(1, 52)),
    "offsets": "d,v\n" + "".join(f"2024-01-{k:02d}T00:00:00+0{k // 10}:00,{k}\n" for k in range(1, 32)),
    "no times": "".join(f"{k % 7}\n" for k in range(60)),
}
PIECES = [
    *'",;\t|\n\r#:./-+eETZ0123456789 ',
    "NaN",
    "inf",
    "",
    "1e999",
    "24:00",
    "AM",
    "PM",
    "+00",
    "sep=;\n",
]
PIECES += [
    "9999-12-31",
    "0000-00-00",
    "0001-01-01",
    "\ufeff",
    "\0",
    "Ä",
    "1,234",
    "9" * 20,
    "W53",
    "Q9",
    "Feb",
    "--",
]


@pytest.mark.parametrize("name", FILES)
def test_a_series_or_an_error(name: str) -> None:
    """With a piece put in, or in the place of others, here and there, and rows that come twice."""
    draw = random.Random(name)
    refusals: list[str] = []
    read = 0
    for case in range(400):
        text = FILES[name]
        for _ in range(case % 4):
            first = draw.randrange(len(text))
            text = text[:first] + draw.choice(PIECES) + text[first + draw.choice([0, 0, 1, 3, 20]) :]
        if case % 10 == 9:
            lines = text.split("\n")
            lines.insert(draw.randrange(len(lines)), draw.choice(lines))
            text = "\n".join(lines)
        try:
            made = choose(table(text))
        except SeriesError as error:
            refusals.append(str(error))
            continue
        read += 1
        assert np.isfinite(made.values).all()
        times = np.concatenate([made.times, made.ahead(5)])
        np.testing.assert_array_equal(made.step.places(times), np.arange(len(times)))
        assert len(set(made.shown(times))) == len(times)
    assert read > 50
    assert len(refusals) > 50
    assert not [said for said in refusals if "\n" in said or len(said) > 1000]
