"""Honest baselines, and which of them fits a series: chosen by rows before the calibration part."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .errors import SeriesError
from .linear import Form, Linear
from .seasons import candidates

__all__ = ["LAST", "LINEAR", "SEASON", "Baselines", "last", "same_season"]

_Values = NDArray[np.float64]

LAST = "last value"
SEASON = "same season last period"
LINEAR = "linear autoregression"

ORDERS = (1, 2, 3, 6, 12, 24)
JUDGED = 1000  # origins, at most, by which forms are compared
RETURNS = 0.98  # of the later rows that are where the earlier were, for a level to be something to learn from
CLEAR_GAIN = 0.9  # what the last season must do better than the last value, where no regression speaks for it
GAIN = 0.98  # what a season must bring the error down to, so that chance is not taken for one


def last(z: _Values, origins: NDArray[np.int64], horizon: int) -> _Values:
    """Forecast that nothing changes: [n, horizon, C]."""
    return np.repeat(z[origins][:, np.newaxis], horizon, axis=1)


def same_season(z: _Values, origins: NDArray[np.int64], horizon: int, period: int) -> _Values:
    """Forecast what was at the same place of the last season known: [n, horizon, C], NaN before one is."""
    ahead = np.arange(1, horizon + 1)
    back = ahead - period * -(-ahead // period)
    places = origins[:, np.newaxis] + back
    return np.where(places[..., np.newaxis] >= 0, z[np.maximum(places, 0)], np.nan)


@dataclass(frozen=True)
class Baselines:
    """The baselines of one series.

    Attributes
    ----------
    linear : Linear
    period : int
        Of the season; 0: none was found, and there is no such baseline.
    anchor : str
        The name of the best one: what the network's forecast is a correction of.
    returns : tuple of bool
        Of each column: whether it comes back to levels where it was.
    """

    linear: Linear
    period: int
    anchor: str
    returns: tuple[bool, ...]

    @classmethod
    def choose(
        cls,
        z: _Values,
        observed: NDArray[np.bool_],
        train: int,
        horizon: int,
        *,
        period: int | None,
        seasons: list[int],
    ) -> Baselines:
        """Choose the form by the second half of z [N, C], fitted to the first; then fit to `train` rows.

        Parameters
        ----------
        period
            What the user says it is, 0 for none; None: it is looked for.
        seasons
            Periods that the step between rows suggests.
        """
        half = len(z) // 2
        spread = max(1, half // JUDGED)
        origins = np.arange(half - 1, len(z) - 1, spread)
        # Lines that fill gaps know what comes after them: nothing is judged that was said from there.
        origins = origins[observed[origins].all(axis=1)]

        def error(forecast: _Values) -> float:
            return _error(z, observed, origins, forecast)

        def linear_error(form: Form) -> float:
            return error(Linear.fit(form, z[:half], observed[:half]).forecast(z, origins, horizon))

        def best_of(forms: list[Form]) -> tuple[float, Form]:
            fitting = [form for form in forms if 3 * form.reach <= half]
            return min(((linear_error(form), form) for form in fitting), key=lambda pair: pair[0])

        def forms(p: int) -> list[Form]:
            orders = [order for order in ORDERS if order == 1 or 8 * order <= half]
            return [Form(order, p, differenced) for order in orders for differenced in (False, True)]

        # The yardstick of every period: the better of the two baselines that have one.
        least, form = best_of(forms(0))
        of_last = error(last(z, origins, horizon))
        bar, found = GAIN * min(least, of_last), 0
        possible = sorted(candidates(z[:half], seasons)) if period is None else [period] if period else []
        of_season = {p: error(same_season(z, origins, horizon, p)) for p in possible}
        for p in possible:
            if 3 * (p + 2) > half or (found and p % found == 0 and p not in seasons):
                continue  # too long; or two of a season that is found already
            with_season, seasonal = best_of(forms(p))
            judged = min(with_season, of_season[p])
            if judged < bar or period:
                bar, found, least, form = judged, p, with_season, seasonal
        season = period or _season(found, of_season, of_last)
        if z.shape[1] > 1:
            together = replace(form, together=True)
            if z.shape[1] * len(together.lags) * 8 <= half and (joint := linear_error(together)) < least:
                form, least = together, joint
        errors = {LINEAR: least, LAST: of_last}
        if season:
            errors[SEASON] = of_season[season]
        anchor = min(errors, key=lambda name: errors[name])
        early, later = z[:half], z[half:]
        outside = ((later < early.min(axis=0)) | (later > early.max(axis=0))) & observed[half:]
        returns = tuple(bool(part <= 1 - RETURNS) for part in outside.mean(axis=0))
        return cls(Linear.fit(form, z[:train], observed[:train]), season, anchor, returns)

    @property
    def names(self) -> list[str]:
        """Return which there are."""
        return [LAST, SEASON, LINEAR] if self.period else [LAST, LINEAR]

    @property
    def reach(self) -> int:
        """How many rows the best one needs to have read."""
        return {LAST: 1, SEASON: self.period, LINEAR: self.linear.form.reach}[self.anchor]

    @property
    def inputs(self) -> int:
        """How many numbers the network reads of each row: see `network`."""
        each = 1 + bool(self.period) + (self.anchor == LINEAR)
        return each * len(self.returns) + sum(self.returns)

    def ahead(self, z: _Values, horizon: int) -> _Values:
        """Forecast from every row of z [N, C] by the best one: [N, horizon, C]."""
        return self.forecast(self.anchor, z, np.arange(len(z)), horizon)

    def forecast(self, name: str, z: _Values, origins: NDArray[np.int64], horizon: int) -> _Values:
        """Forecast by one of them: [n, horizon, C]."""
        if name == LINEAR:
            return self.linear.forecast(z, origins, horizon)
        return last(z, origins, horizon) if name == LAST else same_season(z, origins, horizon, self.period)


def _season(found: int, of_season: dict[int, float], of_last: float) -> int:
    """Return the period of the season itself, where `found` is that whose lags serve the regression best.

    The others are the errors of each possible season's last values, and of the last value. Lags of three
    days may serve the regression best and the season be a day all the same: the shortest part of it that is
    about as good. Where the regression needs none, its lags cover one, or there is none: that whose last
    values are better than the last value.
    """
    if found:
        close = 1.05 * of_season[found]
        return next(p for p, error in of_season.items() if found % p == 0 and error <= close)
    least = min(of_season, key=lambda p: of_season[p], default=0)
    return least if least and of_season[least] < CLEAR_GAIN * of_last else 0


def _error(z: _Values, observed: NDArray[np.bool_], origins: NDArray[np.int64], forecast: _Values) -> float:
    """Mean absolute error of forecasts [n, H, C], where there is a truth."""
    places = origins[:, np.newaxis] + np.arange(1, forecast.shape[1] + 1)
    there = places < len(z)
    places = np.minimum(places, len(z) - 1)
    known = there[..., np.newaxis] & observed[places]
    if not known.any():
        raise SeriesError("values: expected rows to choose baselines by, got too much that is missing")
    differences = np.abs(forecast - z[places])[known]
    return float(differences.mean()) if not np.isnan(differences).any() else np.inf
