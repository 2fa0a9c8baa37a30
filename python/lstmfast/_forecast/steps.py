"""The regular step between rows: a span of time, months, working days, or a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Months", "Numbers", "Rows", "Span", "Step", "WorkingDays", "infer"]

Times: TypeAlias = "NDArray[Any]"

_DAY = 86_400_000_000  # us
_ONE_DAY, _MONTH = np.timedelta64(1, "D"), np.timedelta64(1, "M")
_UNITS = {"week": 7 * _DAY, "day": _DAY, "hour": _DAY // 24, "minute": 60_000_000, "second": 1_000_000}


@dataclass(frozen=True)
class Span:
    """A fixed span of time, in microseconds."""

    size: int

    def places(self, times: Times) -> NDArray[np.int64] | None:
        """Return where each time is on the grid that begins with the first; None where one is off it."""
        past = (times - times[0]).astype(np.int64)
        return None if (past % self.size).any() else past // self.size

    def times(self, first: Any, places: NDArray[np.int64]) -> Times:  # noqa: ANN401
        """Return the times at these places."""
        moved: Times = first + (places * self.size).astype("timedelta64[us]")
        return moved

    def seasons(self) -> list[int]:
        """Return the periods that such a series may have: a minute, an hour, a day, a week, a year."""
        spans = (60_000_000, _DAY // 24, _DAY, 7 * _DAY)
        found = [span // self.size for span in spans if span % self.size == 0 and span // self.size > 1]
        if self.size == _DAY:
            found.append(365)
        if self.size == 7 * _DAY:
            found.append(52)
        return found

    def __str__(self) -> str:
        """Say it in the largest unit that fits."""
        for name, unit in _UNITS.items():
            if self.size % unit == 0:
                return _counted(self.size // unit, name)
        return f"{self.size / 1e6:g} seconds"


@dataclass(frozen=True)
class Months:
    """Calendar months: always the same day and time of the month, or always its last day."""

    size: int
    last_day: bool

    def places(self, times: Times) -> NDArray[np.int64] | None:
        """Return where each time is on the grid that begins with the first; None where one is off it."""
        months = times.astype("datetime64[M]")
        past = (months - months[0]).astype(np.int64)
        return None if (past % self.size).any() else past // self.size

    def times(self, first: Any, places: NDArray[np.int64]) -> Times:  # noqa: ANN401
        """Return the times at these places."""
        month = first.astype("datetime64[M]")
        months = month + (places * self.size).astype("timedelta64[M]")
        if self.last_day:
            of_day = first - first.astype("datetime64[D]")
            ends: Times = (months + _MONTH).astype("datetime64[D]") - _ONE_DAY + of_day
            return ends
        moved: Times = months.astype("datetime64[us]") + (first - month.astype("datetime64[us]"))
        return moved

    def seasons(self) -> list[int]:
        """Return a year, in steps."""
        return [12 // self.size] if self.size < 12 and 12 % self.size == 0 else []

    def __str__(self) -> str:
        """Say it in years, quarters or months."""
        if self.size % 12 == 0:
            return _counted(self.size // 12, "year")
        return _counted(self.size // 3, "quarter") if self.size == 3 else _counted(self.size, "month")


@dataclass(frozen=True)
class WorkingDays:
    """Monday to Friday."""

    def places(self, times: Times) -> NDArray[np.int64] | None:
        """Return where each time is on the grid that begins with the first; None where one is off it."""
        days = times.astype("datetime64[D]")
        if not np.is_busday(days).all() or (times - days != times[0] - days[0]).any():
            return None
        return np.busday_count(days[0], days).astype(np.int64)

    def times(self, first: Any, places: NDArray[np.int64]) -> Times:  # noqa: ANN401
        """Return the times at these places."""
        day = first.astype("datetime64[D]")
        moved: Times = np.busday_offset(day, places).astype("datetime64[us]") + (first - day)
        return moved

    def seasons(self) -> list[int]:
        """Return a week and a year."""
        return [5, 261]

    def __str__(self) -> str:
        """Say it."""
        return "1 working day"


@dataclass(frozen=True)
class Numbers:
    """Times that are numbers, such as years."""

    size: float

    def places(self, times: Times) -> NDArray[np.int64] | None:
        """Return where each time is on the grid that begins with the first; None where one is off it."""
        past = (times - times[0]) / self.size
        near = np.round(past)
        return None if (np.abs(past - near) > 1e-3).any() else near.astype(np.int64)

    def times(self, first: Any, places: NDArray[np.int64]) -> Times:  # noqa: ANN401
        """Return the times at these places."""
        moved: Times = first + places * self.size
        return moved

    def seasons(self) -> list[int]:
        """Return none: nothing is known beforehand."""
        return []

    def __str__(self) -> str:
        """Say the number."""
        return f"{self.size:g}"


@dataclass(frozen=True)
class Rows(Numbers):
    """No times at all: rows are counted, from 0."""

    size: float = 1.0

    def __str__(self) -> str:
        """Say it."""
        return "1 row"


Step: TypeAlias = "Span | Months | WorkingDays | Numbers"


def infer(times: Times) -> Step | None:
    """Find the step of times that go up: dates or float64, [rows], at least two; None where there is none.

    The most frequent difference is taken, and all others must be multiples of it. Of months the greatest
    common divisor, where all times are on one day of the month, or each on its month's last.
    """
    if times.dtype.kind != "M":
        return _fitting([Numbers(float(_most_frequent(np.diff(times))))], times)
    days = times.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    of_day = times - days
    steps: list[Step] = []
    apart = np.diff(months).astype(np.int64)
    if (apart > 0).all() and (of_day == of_day[0]).all():
        last = ((days + _ONE_DAY).astype("datetime64[M]") > months).all()
        of_month = (days - months.astype("datetime64[D]")).astype(np.int64)
        if last or (of_month == of_month[0]).all():
            steps.append(Months(int(np.gcd.reduce(apart)), bool(last)))
    usual = int(_most_frequent(np.diff(times).astype(np.int64)))
    if usual == _DAY and len(times) > 10:
        steps.append(WorkingDays())
    steps.append(Span(usual))
    return _fitting(steps, times)


def _fitting(steps: Sequence[Step], times: Times) -> Step | None:
    return next((step for step in steps if step.places(times) is not None), None)


def _most_frequent(differences: NDArray[Any]) -> Any:  # noqa: ANN401
    values, counts = np.unique(differences, return_counts=True)
    return values[counts.argmax()]


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'s' if number > 1 else ''}"
