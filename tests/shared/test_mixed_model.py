"""The equations against the textbook's N x N matrices: likelihood, gradient, information, predictions, errors."""

import numpy as np
import pytest
from dense_mixed_model import Dense

from shared import henderson
from shared.mixed_model import MixedModel


def made(n=90, events=9, sites=25, seed=0, columns=2):
    generator = np.random.default_rng(seed)
    event = np.r_[np.arange(events), generator.integers(0, events, n - events)]
    site = np.r_[generator.integers(0, sites, n - sites), np.arange(sites)]
    x = np.column_stack([np.ones(n), generator.normal(size=(n, columns - 1))])
    mag = generator.uniform(4.0, 7.0, events)[event]
    y = 0.2 + 0.4 * generator.normal(size=events)[event] + 0.4 * generator.normal(size=sites)[site]
    return y + 0.5 * generator.normal(size=n), x, event, site, mag


CASES = {
    "more sites": {"events": 9, "sites": 25},
    "more events": {"events": 30, "sites": 11},
    "every event at every site": {"n": 120, "events": 4, "sites": 6},
    "bias alone": {"columns": 1},
}
THETA = {
    (True, False): [0.2, 0.1, 0.3],
    (False, False): [0.2, 0.3],
    (True, True): [-1.5, -1.1, 0.1, -1.0, -1.4],
    (False, True): [-1.5, -1.1, -1.0, -1.4],
}


def both(case, with_site, with_mag, restricted):
    y, x, event, site, mag = made(**CASES[case])
    site = site if with_site else None
    first = np.unique(event, return_index=True)[1]
    high = np.clip((mag[first] - 4.5) / 2.0, 0.0, 1.0) if with_mag else None
    ours = MixedModel(y, x, event, site, restricted=restricted, high=high)
    dense = Dense(y, x, event, site, mag if with_mag else None, restricted)
    return ours, dense, np.array(THETA[with_site, with_mag]), event, site


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("with_mag", [True, False])
@pytest.mark.parametrize("with_site", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_likelihood_and_gradient(case, with_site, with_mag, restricted):
    ours, dense, theta, _, _ = both(case, with_site, with_mag, restricted)
    point = ours.evaluate(theta)
    assert point.deviance == pytest.approx(dense.deviance(theta), rel=1e-12)
    np.testing.assert_allclose(point.gradient, dense.gradient(theta), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("nil", [0, 1, (0, 1)])
@pytest.mark.parametrize("case", CASES)
def test_at_the_edge_the_gradient_is_one_sided(case, nil):
    """At tau = 0 or phi_s2s = 0 the derivative with respect to the variance exists, and is right."""
    ours, dense, theta, _, _ = both(case, True, False, True)
    theta[np.atleast_1d(nil)] = 0.0
    point = ours.evaluate(theta)
    assert point.deviance == pytest.approx(dense.deviance(theta), rel=1e-12)
    np.testing.assert_allclose(point.gradient, dense.gradient(theta), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("with_mag", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_information_is_its_definition(case, with_mag):
    """yᵀ P V̇ P V̇ P y (Gilmour, Thompson and Cullis 1995, eq. 7), V̇ by central differences."""
    ours, dense, theta, _, _ = both(case, True, with_mag, True)
    step = 1e-5
    dots = [
        (sum(dense.parts(theta + step * u)) - sum(dense.parts(theta - step * u))) / (2 * step)
        for u in np.eye(len(theta))
    ]
    inverse = np.linalg.inv(sum(dense.parts(theta)))
    x = dense.x
    p = inverse - inverse @ x @ np.linalg.inv(x.T @ inverse @ x) @ x.T @ inverse
    working = np.column_stack([dot @ p @ dense.y for dot in dots])
    np.testing.assert_allclose(ours.evaluate(theta).information, working.T @ p @ working, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("with_mag", [True, False])
@pytest.mark.parametrize("with_site", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_predictions_and_their_errors(case, with_site, with_mag, monkeypatch):
    monkeypatch.setattr(henderson, "CHUNK", 64)  # several pieces even here
    ours, dense, theta, event, site = both(case, with_site, with_mag, True)
    found = ours.predict(theta)
    fixed, errors = dense.fixed(theta)
    np.testing.assert_allclose(found.fixed, fixed, rtol=1e-9)
    np.testing.assert_allclose(found.fixed_errors, errors, rtol=1e-9)
    for k, name, code in ((0, "event", event), (1, "site", site)):
        if code is None:
            assert getattr(found, f"{name}_terms").shape == (0,)
            continue
        terms, errors = dense.terms(theta, k)
        np.testing.assert_allclose(getattr(found, f"{name}_terms")[code], terms, rtol=0, atol=1e-11)
        np.testing.assert_allclose(getattr(found, f"{name}_errors")[code], errors, rtol=1e-8)
    np.testing.assert_allclose(found.record_terms, dense.terms(theta, 2)[0], rtol=0, atol=1e-11)


def test_without_a_random_factor_it_is_least_squares():
    y, x, *_ = made()
    ours = MixedModel(y, x, None, None)
    r = y - x @ np.linalg.lstsq(x, y)[0]
    variance = r @ r / (len(y) - 2)
    assert ours.evaluate(np.array([variance])).gradient[0] == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(ours.predict(np.array([variance])).record_terms, r, rtol=0, atol=1e-12)


def test_simulated_data_have_the_covariance():
    y, x, event, site, mag = made(n=12, events=3, sites=4)
    first = np.unique(event, return_index=True)[1]
    ours = MixedModel(y, x, event, site, high=np.clip((mag[first] - 4.5) / 2.0, 0.0, 1.0))
    theta, generator = np.array(THETA[True, True]), np.random.default_rng(0)
    fixed = np.array([0.5, -1.0])
    drawn = np.stack([ours.simulate(theta, fixed, generator) for _ in range(20_000)])
    np.testing.assert_allclose(drawn.mean(axis=0), x @ fixed, rtol=0, atol=0.03)
    wanted = sum(Dense(y, x, event, site, mag).parts(theta))
    np.testing.assert_allclose(np.cov(drawn.T), wanted, rtol=0, atol=0.03)
