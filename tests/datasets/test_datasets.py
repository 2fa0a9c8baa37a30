"""The series that the package ships: complete, unchanged, and the caller's own to write to."""

from __future__ import annotations

import numpy as np

from lstmfast import datasets


def test_every_year_once_and_in_order() -> None:
    years, numbers = datasets.sunspots()
    assert years.dtype == np.int64
    assert numbers.dtype == np.float64
    np.testing.assert_array_equal(years, np.arange(1700, 2009))
    assert numbers.shape == years.shape


def test_known_values() -> None:
    years, numbers = datasets.sunspots()
    by_year = dict(zip(years.tolist(), numbers.tolist(), strict=True))
    # First and last year, the deepest minimum, the highest maximum, and two from between.
    expected = {1700: 5.0, 1750: 83.4, 1810: 0.0, 1906: 53.8, 1957: 190.2, 2008: 2.9}
    assert {year: by_year[year] for year in expected} == expected
    assert numbers.min() == 0.0
    assert numbers.max() == by_year[1957]


def test_nothing_was_lost_between_the_known_values() -> None:
    _, numbers = datasets.sunspots()
    # Sums of the published file; a changed, missing or shifted row changes both.
    assert round(float(numbers.sum()), 1) == 15373.4
    assert round(float(numbers @ np.arange(numbers.size)), 1) == 2610410.6


def test_arrays_are_fresh_copies() -> None:
    years, numbers = datasets.sunspots()
    years[:] = 0
    numbers[:] = -1.0
    years_again, numbers_again = datasets.sunspots()
    assert years_again[0] == 1700
    assert numbers_again.min() == 0.0
