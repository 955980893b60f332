"""Crossed random effects against a dense likelihood, planted truth and limiting cases."""

import numpy as np
import pytest
from scipy import optimize, stats

from shared.residuals import decompose


def planted(n: int = 4000, events: int = 150, sites: int = 500, seed: int = 0):
    """Unbalanced residuals with known components at three periods, the last with holes."""
    generator = np.random.default_rng(seed)
    event = np.minimum(generator.geometric(0.02, n), events) - 1
    site = generator.integers(0, sites, n)
    tau, phi_s2s, phi_ss = np.array([0.35, 0.45, 0.30]), np.array([0.40, 0.30, 0.45]), np.array([0.50, 0.45, 0.55])
    terms = tau * generator.normal(size=(events, 3)), phi_s2s * generator.normal(size=(sites, 3))
    y = 0.2 + terms[0][event] + terms[1][site] + phi_ss * generator.normal(size=(n, 3))
    y[generator.random(n) < 0.4, 2] = np.nan
    return y, event, site, (tau, phi_s2s, phi_ss), terms


def test_planted_components_and_terms_are_recovered():
    y, event, site, (tau, phi_s2s, phi_ss), (_, site_terms) = planted()
    found = decompose(y, event, site)
    np.testing.assert_allclose(found.tau, tau, rtol=0.2)  # 150 events: 6 % standard error
    np.testing.assert_allclose(found.phi_s2s, phi_s2s, rtol=0.12)
    np.testing.assert_allclose(found.phi_ss, phi_ss, rtol=0.04)
    np.testing.assert_allclose(found.bias, 0.2, atol=0.12)
    error = (found.site_terms - site_terms[np.array(found.sites, dtype=int)]) / found.site_errors
    np.testing.assert_allclose(error.std(axis=0), 1.0, rtol=0.12)  # the stated standard errors are right


def test_components_maximise_a_dense_restricted_likelihood():
    """Patterson and Thompson (1971), written with full matrices."""
    y, event, site, _, _ = planted(n=120, events=12, sites=30, seed=3)
    y = y[:, 0]
    same_event = (event[:, None] == event).astype(float)
    same_site = (site[:, None] == site).astype(float)

    def minus_two_ln_reml(ln_sd: np.ndarray) -> float:
        tau2, s2s2, ss2 = np.exp(2.0 * ln_sd)
        v = tau2 * same_event + s2s2 * same_site + ss2 * np.eye(len(y))
        inverse = np.linalg.inv(v)
        information = inverse.sum()
        r = y - (inverse @ y).sum() / information
        return np.linalg.slogdet(v)[1] + np.log(information) + r @ inverse @ r

    dense = optimize.minimize(
        minus_two_ln_reml,
        np.log([0.3, 0.3, 0.5]),
        method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-10, "maxiter": 4000},
    )
    found = decompose(y[:, None], event, site)
    np.testing.assert_allclose([found.tau[0], found.phi_s2s[0], found.phi_ss[0]], np.exp(dense.x), rtol=2e-3)

    tau2, s2s2, ss2 = np.exp(2.0 * dense.x)
    inverse = np.linalg.inv(tau2 * same_event + s2s2 * same_site + ss2 * np.eye(len(y)))
    r = y - (inverse @ y).sum() / inverse.sum()
    sites = np.array(found.sites, dtype=int)
    terms = s2s2 * (sites[:, None] == site).astype(float) @ inverse @ r  # best linear unbiased prediction
    np.testing.assert_allclose(found.site_terms[:, 0], terms, atol=2e-3)


def test_terms_that_are_not_there_are_found_to_be_nil():
    generator = np.random.default_rng(1)
    y = generator.normal(size=(2000, 1))
    found = decompose(y, generator.integers(0, 100, 2000), generator.integers(0, 200, 2000))
    assert found.tau[0] < 0.1
    assert found.phi_s2s[0] < 0.15
    assert stats.norm.ppf(0.001) * 0.016 < found.phi_ss[0] - 1.0 < stats.norm.ppf(0.999) * 0.016


def test_rows_may_come_in_any_order():
    y, event, site, _, _ = planted(n=600)
    shuffled = np.random.default_rng(5).permutation(len(y))
    found, again = decompose(y, event, site), decompose(y[shuffled], event[shuffled], site[shuffled])
    np.testing.assert_allclose(again.site_terms, found.site_terms, atol=1e-4)
    assert again.sites == found.sites


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_a_period_with_hardly_a_record_is_nan_and_says_so(n):
    y = np.full((50, 2), np.nan)
    y[:, 0] = np.random.default_rng(0).normal(size=50)
    y[:n, 1] = 1.0
    found = decompose(y, np.arange(50) % 7, np.arange(50) % 11)
    assert found.problems == ["", f"{n} records, at least 4 are needed"]
    assert list(found.converged) == [True, False]
    for name in ("bias", "tau", "phi_s2s", "phi_ss", "phi", "sigma", "event_terms", "site_terms", "site_errors"):
        assert np.isnan(getattr(found, name)[..., 1]).all(), name
    assert found.phi_ss[0] > 0.5
