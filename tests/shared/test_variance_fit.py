"""The search for the largest likelihood, and profile and bootstrap intervals, against slow ways to the same."""

import numpy as np
import pytest
from dense_mixed_model import Dense
from scipy import optimize, stats

from shared import variance_fit
from shared.mixed_model import MixedModel

CHI2 = stats.chi2.ppf(0.95, 1)


def made(seed=0, n=150, events=8, sites=30, tau=0.4, phi_s2s=0.3, phi_ss=0.5):
    generator = np.random.default_rng(seed)
    event, site = np.arange(n) % events, generator.permutation(np.arange(n) % sites)
    terms = tau * generator.normal(size=events), phi_s2s * generator.normal(size=sites)
    y = terms[0][event] + terms[1][site] + phi_ss * generator.normal(size=n)
    return y, np.ones((n, 1)), event, site


def magnitude_model(seed=1, low=0.6, high=0.3, n=600, events=40):
    generator = np.random.default_rng(seed)
    event, site = np.arange(n) % events, generator.integers(0, 100, n)
    site = np.unique(site, return_inverse=True)[1]
    share = np.clip(generator.uniform(-0.5, 1.5, events), 0.0, 1.0)
    spread = np.exp((1 - share) * np.log(low) + share * np.log(high))
    y = 0.4 * generator.normal(size=events)[event] + 0.3 * generator.normal(size=100)[site]
    return MixedModel(y + spread[event] * generator.normal(size=n), np.ones((n, 1)), event, site, high=share)


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_the_fit_is_the_largest_dense_likelihood(seed, restricted):
    data = made(seed, n=100)
    found = variance_fit.fit(MixedModel(*data, restricted=restricted))
    dense = Dense(*data, restricted=restricted)
    slow = optimize.minimize(
        lambda ln: dense.deviance(np.exp(ln)),
        np.log([0.1, 0.1, 0.2]),
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 2000},
    )
    assert found.converged
    assert found.point.deviance <= slow.fun + 1e-8
    np.testing.assert_allclose(np.sqrt(found.point.theta), np.exp(slow.x / 2.0), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found.point.gradient[found.point.theta > 0], 0.0, atol=1e-3)


def test_where_the_search_begins_does_not_matter():
    model = MixedModel(*made())
    first = variance_fit.fit(model).point.theta
    for start in ([1e-6, 1e-6, 1e-6], [10.0, 10.0, 10.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.01]):
        again = variance_fit.fit(model, np.array(start))
        assert again.converged
        np.testing.assert_allclose(again.point.theta, first, rtol=1e-5)


def test_a_nil_component_is_exactly_nil():
    """Its likelihood falls from the edge on: the gradient there is positive."""
    found = variance_fit.fit(MixedModel(*made(seed=7, tau=0.0)))
    assert found.converged
    assert found.point.theta[0] == 0.0
    assert found.point.gradient[0] > 0


def test_magnitude_dependence_is_found_again():
    """40 events: ln tau at a corner has a standard error of some 0.2, ln phi_ss of 0.05."""
    theta = variance_fit.fit(magnitude_model()).point.theta
    np.testing.assert_allclose(theta[:2] / 2.0, np.log(0.4), atol=0.6)
    np.testing.assert_allclose(theta[3:] / 2.0, np.log([0.6, 0.3]), atol=0.15)


def test_magnitude_dependence_without_an_event_term():
    """ln tau goes to its lower bound along a valley that is flat: the search must end all the same."""
    model = magnitude_model(seed=2, events=12)
    means = np.bincount(model.record_event, model.y) / np.bincount(model.record_event)
    found = variance_fit.fit(model.with_response(model.y - means[model.record_event]))
    assert found.converged
    assert np.exp(found.point.theta[:2]).max() < 0.01


# --- profile ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("tau", [0.5, 0.0])
def test_profile_ends_are_where_the_constrained_likelihood_crosses(tau, restricted):
    """For each end the dense likelihood is maximised with the quantity held: the deviance has risen by the quantile."""
    data = made(seed=4, n=90, tau=tau)
    model, dense = MixedModel(*data, restricted=restricted), Dense(*data, restricted=restricted)
    found = variance_fit.fit(model)
    weights = {"tau": [1, 0, 0], "phi_s2s": [0, 1, 0], "phi_ss": [0, 0, 1], "phi": [0, 1, 1], "sigma": [1, 1, 1]}
    assert variance_fit.quantities(model).keys() == weights.keys()
    for name, quantity in variance_fit.quantities(model).items():
        assert quantity(found.point.theta)[0] == pytest.approx(np.dot(weights[name], found.point.theta))
        for end in variance_fit.profile_interval(model, found, quantity, 0.95):
            held = optimize.minimize(
                dense.deviance,
                np.maximum(found.point.theta, 0.01),
                method="SLSQP",
                bounds=[(0.0, None)] * 2 + [(1e-3, None)],
                constraints={"type": "eq", "fun": lambda t, w=weights[name], e=end: 10.0 * (np.dot(w, t) - e)},
                options={"ftol": 1e-10},
            )
            rise = held.fun - found.point.deviance
            if end == 0.0:
                assert rise <= CHI2
            else:
                assert rise == pytest.approx(CHI2, abs=2e-3), name


def test_profile_by_a_general_search_is_the_same():
    for model in (MixedModel(*made(seed=3)), magnitude_model()):
        found = variance_fit.fit(model)
        target = found.point.deviance + CHI2
        for quantity in variance_fit.quantities(model).values():
            for sign, end in zip((-1.0, 1.0), variance_fit.profile_interval(model, found, quantity, 0.95), strict=True):
                slow = variance_fit._profile_end_slowly(model, found, quantity, target, sign)
                assert slow == pytest.approx(end, rel=1e-4)


def test_profile_of_one_variance_is_its_closed_form():
    """Without terms the deviance is n ln v + SS / v: the ends solve ln(v / v̂) + v̂ / v - 1 = chi² / n."""
    y = np.random.default_rng(0).normal(size=40)
    model = MixedModel(y, np.ones((40, 1)), None, None, restricted=False)
    found = variance_fit.fit(model)
    best = y.var()
    assert found.point.theta[0] == pytest.approx(best, rel=1e-9)
    low, high = variance_fit.profile_interval(model, found, variance_fit.quantities(model)["phi_ss"], 0.95)

    def rise(v):
        return 40 * (np.log(v / best) + best / v - 1.0) - CHI2

    assert low == pytest.approx(optimize.brentq(rise, 0.1 * best, best), rel=1e-5)
    assert high == pytest.approx(optimize.brentq(rise, best, 10 * best), rel=1e-5)


def test_profile_intervals_cover_what_they_say():
    """95 % of 100: 89 to 99 in 99 of 100 such tests."""
    truth = np.array([0.4, 0.3, 0.5])
    covered = np.zeros(3)
    for seed in range(100):
        model = MixedModel(*made(seed, n=120, events=15))
        found = variance_fit.fit(model)
        for k, name in enumerate(("tau", "phi_s2s", "phi_ss")):
            low, high = variance_fit.profile_interval(model, found, variance_fit.quantities(model)[name], 0.95)
            covered[k] += low <= truth[k] ** 2 <= high
    assert (covered >= 89).all() and (covered <= 99).all(), covered


def test_bootstrap_agrees_with_the_profile_where_both_are_good():
    """phi_ss has 600 records: its interval is all but symmetric."""
    model = MixedModel(*made(n=600, events=40, sites=60))
    found = variance_fit.fit(model)
    wanted = variance_fit.quantities(model)
    drawn = variance_fit.bootstrap_intervals(model, found, np.zeros(1), wanted, 0.95, 150, seed=0)
    profile = np.sqrt(variance_fit.profile_interval(model, found, wanted["phi_ss"], 0.95))
    np.testing.assert_allclose(drawn["phi_ss"], profile, rtol=0, atol=0.35 * np.ptp(profile))
    assert drawn.keys() == {"bias", *wanted}
    again = variance_fit.bootstrap_intervals(model, found, np.zeros(1), {"tau": wanted["tau"]}, 0.95, 150, seed=0)
    np.testing.assert_array_equal(again["tau"], drawn["tau"])
