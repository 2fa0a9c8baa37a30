"""Choosing columns and times, gaps, and what is told."""

from __future__ import annotations

import numpy as np
import pytest

from lstmfast._forecast.errors import SeriesError
from lstmfast._forecast.series import choose

from .helpers import csv_of, table

DAYS = np.datetime64("2024-01-01") + np.arange(40).astype("timedelta64[D]")


def test_times_and_values_are_found() -> None:
    made = choose(table(csv_of(DAYS, ["a"] * 40, range(40), range(40), names="when,name,load,temp")))
    assert (made.time_name, made.names, str(made.step)) == ("when", ("load",), "1 day")
    assert "Column 'load' is forecast, of 'name', 'load', 'temp'" in made.notes[0]
    assert made.shown(made.ahead(2)) == ["2024-02-10", "2024-02-11"]
    assert made.values.tolist() == [[k] for k in range(40)]


def test_several_columns_in_the_order_asked_for() -> None:
    made = choose(table(csv_of(DAYS, range(40), range(5, 45), names="t,a,b")), ["b", "a"])
    assert made.names == ("b", "a")
    assert made.values[0].tolist() == [5, 0]


def test_times_that_are_numbers() -> None:
    assert choose(table(csv_of(range(1700, 1740), range(40), names="YEAR,spots"))).time_name == "YEAR"
    assert choose(table(csv_of(range(40), range(0, 80, 2), names="q,spots"))).time_name == "q"
    made = choose(table(csv_of([3, 1, 2] * 4, range(12), names="q,spots")))
    assert (made.time_name, made.names) == ("row", ("q",))
    assert choose(table(csv_of(range(40), range(40), names="a,year")), ["a"]).time_name == "year"


def test_no_times() -> None:
    made = choose(table("y\n" + "1\n2\n" * 10))
    assert (made.time_name, str(made.step)) == ("row", "1 row")
    assert made.notes == (
        "No column of times was found: rows are counted, each one step after that before it.",
    )
    assert made.shown(made.ahead(1)) == ["20"]


def test_days_in_digits() -> None:
    text = csv_of([str(day).replace("-", "") for day in DAYS], range(40), names="date,y")
    made = choose(table(text))
    assert made.shown(made.ahead(1)) == ["2024-02-10"]


def test_zones_become_utc() -> None:
    texts = [f"2024-03-31T{h:02d}:00:00+01:00" for h in range(2)]
    texts += [f"2024-03-31T{h:02d}:00:00+02:00" for h in range(3, 20)]
    made = choose(table(csv_of(texts, range(19))))
    assert made.utc
    assert made.shown(made.times[:1]) == ["2024-03-30T23:00Z"]
    assert str(made.step) == "1 hour"


def test_days_of_a_zone_stay_days() -> None:
    """Midnights where clocks change are 23 hours apart, and days all the same."""
    texts = [f"{day}T00:00:00+0{1 + (k > 20)}:00" for k, day in enumerate(DAYS)]
    made = choose(table(csv_of(texts, range(40))))
    assert str(made.step) == "1 day"
    assert made.shown(made.ahead(1)) == ["2024-02-10"]
    assert made.notes == ("Days are those of the zone that is said in 'time'; times are shown without it.",)
    utc = choose(table(csv_of([f"{day}T00:00Z" for day in DAYS], range(40))))
    assert utc.shown(utc.ahead(1)) == ["2024-02-10Z"]
    assert utc.notes == ()


@pytest.mark.parametrize(
    "text", ["1/2/24", "2024-01-01 00:00 CET", "Jan-24", "12:00", "2024.1.1 at noon", "3 PM, 1/1/24"]
)
def test_times_that_cannot_be_read_are_not_counted_instead(text: str) -> None:
    """Rows would be counted, and gaps between times never be seen."""
    for first in ("", "id,"):
        rows = "".join(f"{k}," * bool(first) + f'"{text}",{k % 7}\n' for k in range(40))
        with pytest.raises(SeriesError, match="line 2: expected a date in the column 'observed'"):
            choose(table(f"{first}observed,y\n{rows}"))


def test_a_first_time_that_is_missing() -> None:
    with pytest.raises(SeriesError, match="line 2: expected a date in the column 'observed', got nothing"):
        choose(table(csv_of(["", *DAYS[1:]], range(40), names="observed,y")))


def test_missing_at_the_end() -> None:
    made = choose(table(csv_of(DAYS, [*range(38), "", ""])))
    assert made.notes == (
        "The last 2 rows left out: numbers are missing there. The forecast begins after 2024-02-07.",
    )
    assert made.shown(made.ahead(1)) == ["2024-02-08"]


def test_gaps_are_lines_and_told() -> None:
    values = ["", *map(str, range(1, 40))]
    values[10] = "nan"
    keep = [k for k in range(40) if k != 20]
    made = choose(table(csv_of(DAYS[keep], [values[k] for k in keep])))
    np.testing.assert_allclose(made.values[:, 0], np.arange(1, 40))
    assert np.flatnonzero(made.filled[:, 0]).tolist() == [9, 19]
    assert made.notes[0] == "The first 1 row left out: numbers are missing there."
    assert made.notes[1].startswith("2 of 39 numbers of 'y' are missing (at most 1 in a row)")


def test_too_many_gaps() -> None:
    rare = ["1" if k % 2 else "" for k in range(40)]
    with pytest.raises(SeriesError, match=r"at most 20% of the column 'y' missing, got 49% \(19 of 39\)"):
        choose(table(csv_of(DAYS, rare)))
    hole = ["" if 10 <= k < 14 else str(k) for k in range(40)]
    with pytest.raises(SeriesError, match=r"gaps of at most 2 rows .* got one of 4 after 2024-01-10: a line"):
        choose(table(csv_of(DAYS, hole)))
    far = [*map(str, DAYS[:20]), "3024-01-01"]  # no grid of 365,000 days is made
    with pytest.raises(SeriesError, match="20% of the rows missing, got 21 rows where 365"):
        choose(table(csv_of(far, range(21))))


@pytest.mark.parametrize(
    ("text", "chosen", "said"),
    [
        (
            csv_of(DAYS[[0, 2, 1]], range(3)),
            {},
            "line 4: .*'time' they go backwards: 2024-01-02 after 2024-01-03",
        ),
        (csv_of(DAYS[[0, 1, 1]], range(3)), {}, "line 4: .*'time' they come twice: 2024-01-02 after"),
        (csv_of([1, 3, 2], range(3)), {}, "line 4: .* they go backwards: 2 after 3"),
        (csv_of(DAYS[::-1], range(40)), {}, "line 3: .* backwards: .*; the newest row is first: turn"),
        (csv_of(DAYS[[0, 0, 1]], range(3)), {}, "line 3: .* twice: .*; where times of day stand in another"),
        (
            "time,y\n2024-10-27 01:30,1\n2024-10-27 02:30,2\n2024-10-27 02:00,3\n",
            {},
            "line 4: .* backwards: .*; where clocks were set back, write times with their offsets",
        ),
        ("time,y\n", {}, "expected a series, got 0 rows"),
        (csv_of(DAYS[:2], [1, "b"]), {}, r"expected a column of numbers.* \(line 3: .* got 'b'\)"),
        (
            csv_of(DAYS[:2], [1, "b"]),
            {"columns": ["y"]},
            "line 3: expected a number in the column 'y', got 'b'",
        ),
        (csv_of(DAYS[:1], [1]), {}, "expected a series, got 1 row"),
        ("a,b\nx,y\nz,w\n", {}, "expected a column of numbers, got none among 'a', 'b'"),
        (
            csv_of(DAYS[:2], [1, 2]),
            {"columns": ["z"]},
            "--column: x.csv has no column 'z'; it has 'time', 'y'",
        ),
        (csv_of(DAYS[:2], [1, 2]), {"time": "z"}, "--time: x.csv has no column 'z'; it has 'time', 'y'"),
        (csv_of(DAYS[:2], [1, 2]), {"columns": ["y", "y"]}, "expected each column once"),
        (csv_of(DAYS[:2], [1, 2]), {"columns": ["y"], "time": "y"}, "'y' is the column of times already"),
        (csv_of(DAYS[:2], ["", ""]), {"columns": ["y"]}, "numbers in the column 'y', got none"),
        (
            "t,y\n0,1\n1,2\n2.5,3\n3.5,4\n",
            {},
            r"expected regular times in the column 't', .* 0 to 1 \(line 3\), 1 to 2.5 \(line 4\)",
        ),
        ("date,y\nsoon,1\nlater,2\n", {}, "line 2: expected a date in the column 'date', got 'soon'"),
        ("time,y\n1,1\n,2\n", {}, "line 3: expected a time in the column 'time', got none"),
    ],
)
def test_what_is_refused(text: str, chosen: dict[str, object], said: str) -> None:
    with pytest.raises(SeriesError, match=said):
        choose(table(text), **chosen)  # type: ignore[arg-type]
