"""Mixtures against scipy and numerical integration; spread and event magnitudes against planted truth."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from bliqnet.posterior import EventCombination, Mixture, spread_factor
from shared import scores

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


@pytest.fixture
def mixture() -> Mixture:
    draw = np.random.default_rng(0)
    weight = draw.dirichlet(np.ones(3), size=6)
    return Mixture(weight, draw.normal(2.0, 3.0, (6, 3)), draw.uniform(0.2, 1.5, (6, 3)))


def one(mean: np.ndarray, sd: np.ndarray) -> Mixture:
    """A normal density for each record."""
    return Mixture(np.ones((len(mean), 1)), mean[:, None], sd[:, None])


def cdf_of(mixture: Mixture, n: int, x: float) -> float:
    parts = zip(mixture.weight[n], mixture.mean[n], mixture.sd[n], strict=True)
    return sum(w * stats.norm.cdf(x, m, s) for w, m, s in parts)


# --- a mixture -------------------------------------------------------------------------------------------------------
def test_moments_are_the_integrals(mixture):
    for n in range(6):

        def density(x: float, n: int = n) -> float:
            return float(mixture.weight[n] @ stats.norm.pdf(x, mixture.mean[n], mixture.sd[n]))

        points = [float(x) for x in mixture.mean[n]]
        first = quad(lambda x, f=density: x * f(x), -20.0, 20.0, points=points, limit=200)[0]
        second = quad(lambda x, f=density: x**2 * f(x), -20.0, 20.0, points=points, limit=200)[0]
        assert mixture.expectation()[n] == pytest.approx(first, rel=1e-6, abs=1e-7)
        assert mixture.deviation()[n] == pytest.approx(np.sqrt(second - first**2), rel=1e-6)


def test_cdf_and_quantiles_are_each_others_inverse(mixture):
    value = np.linspace(-3.0, 5.0, 6)
    wanted = [cdf_of(mixture, n, x) for n, x in enumerate(value)]
    np.testing.assert_allclose(mixture.cdf(value), wanted, rtol=1e-12, atol=1e-14)
    quantiles = mixture.quantiles(LEVELS)
    assert quantiles.shape == (6, 5)
    for q, level in enumerate(LEVELS):
        np.testing.assert_allclose(mixture.cdf(quantiles[:, q]), level, rtol=1e-9)


def test_quantiles_of_one_component_are_the_normals():
    mean, sd = np.array([-4.0, 0.0, 11.0]), np.array([0.01, 1.0, 7.0])
    wanted = stats.norm.ppf(np.array(LEVELS)[None], mean[:, None], sd[:, None])
    np.testing.assert_allclose(one(mean, sd).quantiles(LEVELS), wanted, rtol=1e-10, atol=1e-10)


def test_crps_is_the_integral_of_its_definition(mixture):
    truth = np.array([-2.0, 0.5, 2.0, 3.0, 4.4, 9.0])
    for n, y in enumerate(truth):
        below = quad(lambda x, n=n: cdf_of(mixture, n, x) ** 2, -25.0, y, limit=300)[0]
        above = quad(lambda x, n=n: (1.0 - cdf_of(mixture, n, x)) ** 2, y, 25.0, limit=300)[0]
        assert mixture.crps(truth)[n] == pytest.approx(below + above, rel=1e-6)


def test_crps_of_one_component_is_the_normals_even_when_it_is_split():
    mean, sd, truth = np.array([0.0, 2.0, -1.0]), np.array([1.0, 0.3, 2.5]), np.array([0.4, 1.0, 6.0])
    wanted = scores.crps_normal((truth - mean)[:, None], sd[:, None])[:, 0]
    split = Mixture(np.tile([0.2, 0.5, 0.3], (3, 1)), np.tile(mean[:, None], 3), np.tile(sd[:, None], 3))
    np.testing.assert_allclose(one(mean, sd).crps(truth), wanted, rtol=1e-10)
    np.testing.assert_allclose(split.crps(truth), wanted, rtol=1e-10)


def test_widened_is_the_density_of_a_stretched_quantity(mixture):
    wide, centre = mixture.widened(1.7), mixture.expectation()
    np.testing.assert_allclose(wide.expectation(), centre, rtol=1e-12)
    np.testing.assert_allclose(wide.deviation(), 1.7 * mixture.deviation(), rtol=1e-12)
    stretched = centre[:, None] + 1.7 * (mixture.quantiles(LEVELS) - centre[:, None])
    np.testing.assert_allclose(wide.quantiles(LEVELS), stretched, rtol=1e-8, atol=1e-9)


def test_rows_are_the_records_asked_for(mixture):
    some = mixture.rows(np.array([4, 1]))
    np.testing.assert_array_equal(some.expectation(), mixture.expectation()[[4, 1]])
    mask = np.array([False, True, False, False, True, False])
    np.testing.assert_array_equal(mixture.rows(mask).quantiles(LEVELS), mixture.quantiles(LEVELS)[[1, 4]])


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.2])
def test_spread_factor_undoes_what_a_density_lacks(factor):
    """Truth drawn from skewed mixtures, whose predictions are ``factor`` too narrow about the same mean."""
    draw = np.random.default_rng(3)
    n = 20_000
    true = Mixture(
        np.tile([0.7, 0.3], (n, 1)), draw.normal(size=(n, 1)) + np.array([0.0, 2.0]), np.tile([0.5, 1.2], (n, 1))
    )
    which = (draw.random(n) > 0.7).astype(int)
    truth = draw.normal(true.mean[np.arange(n), which], true.sd[np.arange(n), which])
    predicted = true.widened(1.0 / factor)
    found = spread_factor(predicted, truth - predicted.expectation())
    assert found == pytest.approx(factor, rel=0.05)
    ends = predicted.widened(found).quantiles([0.05, 0.95])
    inside = (truth > ends[:, 0]) & (truth < ends[:, 1])
    assert inside.mean() == pytest.approx(0.9, abs=1e-3)


# --- records of one event --------------------------------------------------------------------------------------------
def simulated(n_events: int, correlation: float, seed: int, sd_factor: float = 1.0, slope: float = 1.0) -> tuple:
    """Predictions (N,) of event magnitudes; errors of an event's records, over their own deviation, equicorrelated."""
    draw = np.random.default_rng(seed)
    counts = draw.integers(1, 30, n_events)
    event = np.repeat(np.arange(n_events), counts)
    mag, sd = draw.uniform(3.5, 7.5, n_events)[event], draw.uniform(0.2, 0.6, len(event))
    common = np.sqrt(correlation) * draw.normal(size=n_events)[event]
    standard = common + np.sqrt(1.0 - correlation) * draw.normal(size=len(event))
    mean = 5.5 + slope * (mag - 5.5) - sd_factor * sd * standard
    return one(mean, sd), mag, np.array([f"E{code:03d}" for code in event])


def test_combined_variance_is_that_of_the_dense_matrix():
    mixture, _, event = simulated(12, 0.4, seed=1)
    rule = EventCombination(correlation=0.37, intercept=0.3, slope=0.9, factor=1.4)
    found = rule.combine(mixture, event)
    assert list(found.index) == sorted(set(event))
    for label in found.index:
        s, m = mixture.sd[event == label, 0], mixture.mean[event == label, 0]
        covariance = 0.37 * np.outer(s, s) + 0.63 * np.diag(s**2)
        w = s**-2 / (s**-2).sum()
        assert found.loc[label, "n"] == len(s)
        assert found.loc[label, "mean"] == pytest.approx(0.3 + 0.9 * (w @ m), rel=1e-12)
        assert found.loc[label, "sd"] == pytest.approx(1.4 * np.sqrt(w @ covariance @ w), rel=1e-12)


@pytest.mark.parametrize("correlation", [0.2, 0.7])
def test_a_planted_correlation_is_found_and_intervals_of_new_events_hold(correlation):
    rule = EventCombination.fit(*simulated(300, correlation, seed=2))
    assert rule.correlation == pytest.approx(correlation, abs=0.08)
    assert rule.factor == pytest.approx(1.0, abs=0.1)
    assert rule.slope == pytest.approx(1.0, abs=0.1)  # regressed on what scatters: a little below
    new, mag, event = simulated(1000, correlation, seed=5)
    together = rule.combine(new, event)
    truth = mag[np.unique(event, return_index=True)[1]]
    inside = np.abs(truth - together["mean"]) < stats.norm.ppf(0.95) * together["sd"]
    assert inside.mean() == pytest.approx(0.9, abs=0.04)
    for few in (together["n"] < 4, together["n"] > 15):
        assert inside[few].mean() == pytest.approx(0.9, abs=0.06)


def test_deviations_that_are_too_small_and_means_that_lean_to_the_middle_are_mended():
    rule = EventCombination.fit(*simulated(400, 0.5, seed=3, sd_factor=2.0, slope=0.6))
    new, mag, event = simulated(1000, 0.5, seed=6, sd_factor=2.0, slope=0.6)
    together = rule.combine(new, event)
    truth = mag[np.unique(event, return_index=True)[1]]
    error = truth - together["mean"]
    assert abs(error.mean()) < 0.06
    assert abs(np.polyfit(together["mean"], error, 1)[0]) < 0.1
    assert (np.abs(error) < stats.norm.ppf(0.95) * together["sd"]).mean() == pytest.approx(0.9, abs=0.04)


def test_one_record_an_event_stays_what_it_says():
    draw = np.random.default_rng(4)
    mag, sd = draw.uniform(4.0, 7.0, 500), draw.uniform(0.2, 0.6, 500)
    mean = mag + sd * draw.normal(size=500)
    rule = EventCombination.fit(one(mean, sd), mag, np.arange(500))
    assert 0.0 <= rule.correlation <= 1.0
    together = rule.combine(one(mean, sd), np.arange(500))
    np.testing.assert_allclose(together["sd"], rule.factor * sd, rtol=1e-12)
    plain = EventCombination(rule.correlation, 0.0, 1.0, 1.0).combine(one(mean, sd), np.arange(500))
    np.testing.assert_allclose(plain[["mean", "sd"]], np.column_stack([mean, sd]), rtol=1e-12)


@pytest.mark.parametrize("n_events", [1, 2, 6])
def test_events_of_one_magnitude_or_few_events_do_no_harm(n_events):
    mixture, mag, event = simulated(n_events, 0.5, seed=8)
    rule = EventCombination.fit(mixture, np.full_like(mag, 5.0), event)
    together = rule.combine(mixture, event)
    assert np.isfinite(together).all(axis=None)
    assert (together["sd"] >= 0).all()
