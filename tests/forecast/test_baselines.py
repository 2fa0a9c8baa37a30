"""The baselines against what they are by definition, and which of them is chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lstmfast._forecast.baselines import LAST, LINEAR, SEASON, Baselines, last, same_season
from lstmfast._forecast.linear import Form, Linear
from lstmfast._forecast.network import _wrong
from lstmfast._forecast.seasons import candidates

from .helpers import seasonal, walk


def test_last_and_season() -> None:
    z = np.arange(10.0)[:, np.newaxis]
    assert last(z, np.array([3, 5]), 2)[..., 0].tolist() == [[3, 3], [5, 5]]
    assert same_season(z, np.array([5]), 5, 3)[0, :, 0].tolist() == [3, 4, 5, 3, 4]
    np.testing.assert_array_equal(same_season(z, np.array([1]), 3, 3)[0, :, 0], [np.nan, 0, 1])


@pytest.mark.parametrize(
    "form", [Form(2), Form(3, differenced=True), Form(2, period=7), Form(1, together=True)]
)
def test_linear_is_the_recursion_that_it_says(form: Form) -> None:
    z = np.random.default_rng(0).standard_normal((200, 2)).cumsum(axis=0)
    fitted = Linear.fit(form, z, np.ones(z.shape, bool))
    w = np.diff(z, axis=0, prepend=z[:1]) if form.differenced else z
    origin, steps = 60, 10
    known = list(w[: origin + 1])
    for _ in range(steps):
        known.append(
            fitted.constant + sum(known[-lag] @ b for lag, b in zip(form.lags, fitted.weights, strict=True))
        )
    ahead = np.array(known[origin + 1 :])
    expected = z[origin] + ahead.cumsum(axis=0) if form.differenced else ahead
    (got,) = fitted.forecast(z, np.array([origin]), steps)
    np.testing.assert_allclose(got, expected, rtol=1e-10)
    # It knows nothing of what comes after.
    changed = z.copy()
    changed[origin + 1 :] = 1e6
    np.testing.assert_array_equal(fitted.forecast(changed, np.array([origin]), steps)[0], got)
    np.testing.assert_array_equal(
        np.isnan(fitted.forecast(z, np.arange(20), 2)).any(axis=(1, 2)), np.arange(20) < form.reach - 1
    )


def test_linear_finds_the_equation() -> None:
    generator = np.random.default_rng(1)
    z = np.zeros((5000, 1))
    for t in range(2, len(z)):
        z[t] = 0.3 + 1.2 * z[t - 1] - 0.5 * z[t - 2] + 0.1 * generator.standard_normal()
    fitted = Linear.fit(Form(2), z, np.ones(z.shape, bool))
    np.testing.assert_allclose(fitted.weights[:, 0, 0], [1.2, -0.5], atol=0.03)
    assert fitted.constant[0] == pytest.approx(0.3, abs=0.03)


def test_linear_is_not_fitted_to_what_fills_gaps() -> None:
    z = walk(300, 0)[:, np.newaxis]
    observed = np.ones(z.shape, bool)
    observed[250:] = False
    wrong = z.copy()
    wrong[250:] = 1e3
    right = Linear.fit(Form(3), z[:250], observed[:250])
    np.testing.assert_allclose(Linear.fit(Form(3), wrong, observed).weights, right.weights, rtol=1e-6)


def noise_with_lines() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Noise, of which two numbers in six are missing and lines instead, [1200, 1]."""
    z = np.random.default_rng(0).standard_normal(1200)
    observed = np.arange(1200) % 6 < 4
    observed[-1] = True
    z[~observed] = np.interp(np.flatnonzero(~observed), np.flatnonzero(observed), z[observed])
    return z[:, np.newaxis], observed[:, np.newaxis]


def test_nothing_is_learned_from_what_lines_lead_to() -> None:
    """Of noise there is nothing to foretell; a line across a gap foretells what comes after it, exactly."""
    z, observed = noise_with_lines()
    assert np.abs(Linear.fit(Form(2), z, observed).weights).max() < 0.12
    assert np.abs(Linear.fit(Form(2), z, np.ones_like(observed)).weights).max() > 0.3  # all taken for truths
    differenced = Linear.fit(Form(1, differenced=True), z, observed).weights[0, 0, 0]
    assert differenced == pytest.approx(-0.5, abs=0.1)
    made = Baselines.choose(z, observed, 1000, 3, period=None, seasons=[6])
    assert (made.period, made.anchor) == (0, LINEAR)
    wrong = _wrong(z, observed, made.ahead(z, 3))
    assert np.isnan(wrong[~observed[:, 0]]).all()
    assert np.sqrt(np.nanmean(wrong**2)) == pytest.approx(1, abs=0.1)


def chosen(z: NDArray[np.float64], **more: Any) -> Baselines:
    z = z[:, np.newaxis] if z.ndim == 1 else z
    options: dict[str, Any] = {"period": None, "seasons": []} | more
    return Baselines.choose(z, np.ones(z.shape, bool), len(z) * 6 // 7, 12, **options)


def test_the_season_is_found() -> None:
    assert chosen(seasonal(1500), seasons=[24, 168]).period == 24
    assert chosen(seasonal(1500)).period == 24  # by the series alone
    assert chosen(seasonal(1500), period=0).period == 0
    assert chosen(seasonal(1500), period=48).period == 48
    assert chosen(seasonal(1500), seasons=[24]).names == [LAST, SEASON, LINEAR]


@pytest.mark.parametrize("seed", range(4))
def test_chance_is_no_season(seed: int) -> None:
    for z in (walk(1500, seed), np.random.default_rng(seed).standard_normal(1500)):
        found = chosen(z, seasons=[24, 168])
        assert found.period == 0
        assert found.names == [LAST, LINEAR]


def test_candidates_fit_thrice() -> None:
    assert candidates(seasonal(90)[:, np.newaxis], [24, 168]) == [24]
    assert 24 in candidates(seasonal(600)[:, np.newaxis], [])


def test_levels_that_come_back() -> None:
    noise = np.random.default_rng(0).standard_normal(1500)
    assert chosen(np.stack([noise, np.arange(1500.0) + noise], axis=1)).returns == (True, False)


def test_another_column_is_used_where_it_helps() -> None:
    generator = np.random.default_rng(0)
    leader = generator.standard_normal(1500).cumsum()
    follower = np.concatenate([[0], leader[:-1]]) + 0.1 * generator.standard_normal(1500)
    assert chosen(np.stack([leader, follower], axis=1)).linear.form.together
    assert not chosen(generator.standard_normal((1500, 2)).cumsum(axis=0)).linear.form.together
