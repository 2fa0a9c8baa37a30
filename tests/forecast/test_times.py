"""Dates of many forms, and the regular step between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lstmfast._forecast import dates, steps
from lstmfast._forecast.errors import SeriesError

from .helpers import table


def parsed(*texts: str) -> list[str]:
    found = dates.parse(table("t;y\n" + "".join(f'"{text}";1\n' for text in texts)), "t")
    return [str(time.astype("datetime64[s]")) for time in found.times]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2024-02-03", "2024-02-03T00:00:00"),
        ("2024-02-03 04:05", "2024-02-03T04:05:00"),
        ("2024-02-03T04:05:06.5", "2024-02-03T04:05:06"),
        ("2024-02-03T04", "2024-02-03T04:00:00"),
        ("2024-02-03T04:05:06Z", "2024-02-03T04:05:06"),
        ("2024-02-03T04:05:06+02:00", "2024-02-03T02:05:06"),
        ("2024-02-03T04:05:06-0130", "2024-02-03T05:35:06"),
        ("2024-02-03 04:05:06+00", "2024-02-03T04:05:06"),
        ("2024-02-03 04:05 GMT", "2024-02-03T04:05:00"),
        ("2024-02-03 04:05 AM", "2024-02-03T04:05:00"),
        ("2024-02-03 12:05 am", "2024-02-03T00:05:00"),
        ("2024-02-03 12:05PM", "2024-02-03T12:05:00"),
        ("2/25/2024 4:05:06 p.m.", "2024-02-25T16:05:06"),
        ("Feb 3, 2024 4 PM +02:00", "2024-02-03T14:00:00"),
        ("2024-02-03 24:00", "2024-02-04T00:00:00"),
        ("20240203T040506", "2024-02-03T04:05:06"),
        ("20240203T0405Z", "2024-02-03T04:05:00"),
        ("2024/2/3", "2024-02-03T00:00:00"),
        ("20240203", "2024-02-03T00:00:00"),
        ("2024-02", "2024-02-01T00:00:00"),
        ("2024M02", "2024-02-01T00:00:00"),
        ("2024Q3", "2024-07-01T00:00:00"),
        ("Q3 2024", "2024-07-01T00:00:00"),
        ("2024-W01", "2024-01-01T00:00:00"),
        ("2021-W01", "2021-01-04T00:00:00"),
        ("3.2.2024", "2024-02-03T00:00:00"),
        ("03.02.2024 04:05", "2024-02-03T04:05:00"),
        ("3 Feb 2024", "2024-02-03T00:00:00"),
        ("03-Feb-2024", "2024-02-03T00:00:00"),
        ("February 3, 2024", "2024-02-03T00:00:00"),
        ("Feb 2024", "2024-02-01T00:00:00"),
        ("25/2/2024", "2024-02-25T00:00:00"),
        ("2/25/2024", "2024-02-25T00:00:00"),
    ],
)
def test_forms(text: str, meant: str) -> None:
    assert parsed(text) == [meant]


def test_strokes_are_settled_by_any_row() -> None:
    assert parsed("1/2/2024", "13/2/2024")[0] == "2024-02-01T00:00:00"
    assert parsed("1/2/2024", "1/13/2024")[0] == "2024-01-02T00:00:00"
    for undecided in (("1/2/2024", "2/2/2024"), ("13/2/2024", "2/13/2024")):
        with pytest.raises(SeriesError, match="cannot tell days from months"):
            parsed(*undecided)


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30",
        "2024-13-01",
        "2024-01-01 25:00",
        "2024-01-01 24:01",
        "2024-01-01 13:00 PM",
        "2024-01-01 0:00 AM",
        "2024-01-01 00:00+25:00",
        "2024-01-01 00:00+01:60",
        "2024-01-01 00:00 CET",
        "2024-W54",
        "Abc 2024",
        "",
    ],
)
def test_no_such_day(text: str) -> None:
    with pytest.raises(SeriesError, match=r"x\.csv, line 3: expected a date in the column 't', got "):
        parsed("2024-01-01", text)


def test_zones_in_some_rows() -> None:
    with pytest.raises(SeriesError, match="line 3: expected a time zone in all rows of the column 't'"):
        parsed("2024-01-01T00:00Z", "2024-01-01T01:00")
    assert parsed("2024-01-01T00:00Z", "2024-01-01T03:00+02:00")[1] == "2024-01-01T01:00:00"


def test_halves_of_the_day_in_some_rows() -> None:
    with pytest.raises(SeriesError, match="line 4: expected AM or PM in all rows of the column 't'"):
        parsed("2024-01-01", "2024-01-01 1:00 AM", "2024-01-01 2:00")
    assert (
        parsed("2024-01-01", "2024-01-01 1:00 PM")[1] == "2024-01-01T13:00:00"
    )  # an hour of midnight left out


def times(first: str, unit: Any, count: int, size: int = 1) -> NDArray[Any]:
    made: Any = np.datetime64(first, unit) + (size * np.arange(count)).astype(f"timedelta64[{unit}]")
    return np.asarray(made.astype("datetime64[us]"))


@pytest.mark.parametrize(
    ("made", "name", "then"),
    [
        (times("2024-01-01T00", "h", 30), "1 hour", "2024-01-02T06"),
        (times("2024-01-01T00:00", "m", 30, 15), "15 minutes", "2024-01-01T07:30"),
        (times("2024-01-01T00:00:00", "s", 30, 10), "10 seconds", "2024-01-01T00:05:00"),
        (times("2024-01-01", "D", 30), "1 day", "2024-01-31"),
        (times("2024-01-01", "D", 30, 7), "1 week", "2024-07-29"),
        (times("2024-01", "M", 30), "1 month", "2026-07-01"),
        (times("2024-01", "M", 30, 3), "1 quarter", "2031-07-01"),
        (times("2024", "Y", 30), "1 year", "2054-01-01"),
        (
            times("2024-01", "M", 11).astype("datetime64[M]").astype("datetime64[D]")
            + np.timedelta64(14, "D"),
            "1 month",
            "2024-12-15",
        ),
        (
            (
                times("2024-02", "M", 11).astype("datetime64[M]").astype("datetime64[D]")
                - np.timedelta64(1, "D")
            ),
            "1 month",
            "2024-12-31",
        ),
        (np.busday_offset(np.datetime64("2024-01-01"), np.arange(30)), "1 working day", "2024-02-12"),
    ],
)
def test_steps(made: NDArray[Any], name: str, then: str) -> None:
    made = made.astype("datetime64[us]")
    step = steps.infer(made)
    assert str(step) == name
    assert step is not None
    np.testing.assert_array_equal(step.places(made), np.arange(len(made)))
    (ahead,) = step.times(made[0], np.array([len(made)]))
    assert ahead == np.datetime64(then)
    # A gap changes nothing.
    rest = np.delete(made, [5, 6])
    assert steps.infer(rest) == step
    places = step.places(rest)
    assert places is not None
    assert places[5] == 7


def test_steps_of_numbers() -> None:
    step = steps.infer(np.array([1.0, 1.1, 1.2, 1.4, 1.5]))
    assert step is not None
    np.testing.assert_array_equal(step.places(np.array([1.0, 1.1, 1.2, 1.4, 1.5])), [0, 1, 2, 4, 5])
    assert steps.infer(np.array([0.0, 1.0, 2.5, 3.5, 4.5])) is None


def test_seasons() -> None:
    assert steps.Span(3_600_000_000).seasons() == [24, 168]
    assert steps.Span(86_400_000_000).seasons() == [7, 365]
    assert steps.Months(1, False).seasons() == [12]
    assert steps.Months(3, False).seasons() == [4]
    assert steps.Months(12, False).seasons() == []
