"""Decomposition of residuals: planted truth, a dense likelihood, limiting cases, bad input."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from dense_mixed_model import Dense
from scipy import optimize, stats

from shared.command import InputError
from shared.residuals import DEVIATIONS, decompose


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


def test_terms_and_errors_are_predictions_of_all_three_kinds():
    """bias + event + site + record term is the residual; terms over their errors have unit spread."""
    y, event, site, (tau, phi_s2s, _), (event_terms, site_terms) = planted(seed=8)
    found = decompose(y, event, site)
    events, sites = np.array(found.events), np.array(found.sites)
    e, s = np.searchsorted(events, event), np.searchsorted(sites, site)
    total = found.bias + found.event_terms[e] + found.site_terms[s] + found.record_terms
    np.testing.assert_allclose(total, y, rtol=0, atol=1e-10, equal_nan=True)
    for error, terms, own in (
        (found.event_errors, found.event_terms - event_terms[events], tau),
        (found.site_errors, found.site_terms - site_terms[sites], phi_s2s),
    ):
        np.testing.assert_allclose((terms / error).std(axis=0), 1.0, atol=0.2)
        assert (error <= 1.2 * own).all()
    np.testing.assert_allclose(found.phi, np.hypot(found.phi_s2s, found.phi_ss), rtol=1e-12)
    np.testing.assert_allclose(found.sigma, np.hypot(found.tau, found.phi), rtol=1e-12)


@pytest.mark.parametrize("restricted", [True, False])
def test_fixed_columns_are_regressed_on_at_the_same_time(restricted):
    generator = np.random.default_rng(2)
    y, event, site, _, _ = planted(n=300, events=20, sites=60, seed=4)
    columns = generator.normal(size=(len(y), 2))
    y = y + columns @ np.array([[0.5, -1.0, 2.0], [0.0, 1.0, 0.3]])
    found = decompose(y, event, site, fixed=columns, method="REML" if restricted else "ML")
    for p in range(2):  # the third has holes
        x = np.column_stack([np.ones(len(y)), columns])
        dense = Dense(y[:, p], x, event, site, restricted=restricted)
        theta = np.array([found.tau[p], found.phi_s2s[p], found.phi_ss[p]]) ** 2
        np.testing.assert_allclose(dense.gradient(theta), 0.0, atol=1e-3)
        assert found.log_likelihood[p] == pytest.approx(-0.5 * dense.deviance(theta), rel=1e-10)
        coefficients, errors = dense.fixed(theta)
        np.testing.assert_allclose([found.bias[p], *found.coefficients[:, p]], coefficients, rtol=0, atol=1e-9)
        np.testing.assert_allclose([found.bias_error[p], *found.coefficient_errors[:, p]], errors, rtol=1e-8)
    np.testing.assert_allclose(found.coefficients[:, 2], [2.0, 0.3], rtol=0, atol=0.2)


def test_event_only_is_the_textbook_of_balanced_data():
    """Analysis of variance: with m records an event, tau² = (MSB - MSW) / m and phi² = MSW (Searle 1992, ch. 3)."""
    generator = np.random.default_rng(3)
    values = 0.6 * generator.normal(size=(20, 1)) + 0.4 * generator.normal(size=(20, 6))
    found = decompose(values.reshape(-1, 1), np.repeat(np.arange(20), 6))
    means = values.mean(axis=1)
    within = ((values - means[:, None]) ** 2).sum() / (20 * 5)
    between = 6.0 * means.var(ddof=1)
    assert found.phi[0] == found.phi_ss[0] == pytest.approx(np.sqrt(within), rel=1e-8)
    assert found.tau[0] == pytest.approx(np.sqrt((between - within) / 6.0), rel=1e-8)
    assert found.bias[0] == pytest.approx(values.mean(), rel=1e-10)
    assert found.bias_error[0] == pytest.approx(np.sqrt(between / 120), rel=1e-8)
    shrink = 1.0 - within / between
    np.testing.assert_allclose(found.event_terms[:, 0], shrink * (means - values.mean()), rtol=1e-7)
    assert found.phi_s2s[0] == 0.0
    assert found.site_terms.shape == found.site_errors.shape == (0, 1) and found.sites == []


def test_tau_and_phi_may_depend_on_magnitude():
    generator = np.random.default_rng(5)
    mag = generator.uniform(3.5, 7.5, 200)
    share = np.clip((mag - 4.5) / 2.0, 0.0, 1.0)
    event = np.repeat(np.arange(200), 25)
    tau, phi_ss = 0.6 ** (1 - share) * 0.3**share, 0.7 ** (1 - share) * 0.4**share
    site = generator.integers(0, 300, len(event))
    y = (tau * generator.normal(size=200) + 0.1)[event] + 0.3 * generator.normal(size=300)[site]
    y = (y + phi_ss[event] * generator.normal(size=len(event)))[:, None]
    found = decompose(y, event, site, mag=mag[event], intervals="profile")
    for name, truth in (("tau_low", 0.6), ("tau_high", 0.3), ("phi_ss_low", 0.7), ("phi_ss_high", 0.4)):
        low, high = found.intervals[name][0]
        assert low < getattr(found, name)[0] < high
        assert low - 0.05 < truth < high + 0.05, name
    np.testing.assert_allclose(found.tau_at([3.0, 4.5])[:, 0], found.tau_low[0], rtol=1e-12)
    np.testing.assert_allclose(found.phi_ss_at([6.5, 9.0])[:, 0], found.phi_ss_high[0], rtol=1e-12)
    middle = np.sqrt(found.tau_low * found.tau_high)
    np.testing.assert_allclose(found.tau_at([5.5]), middle[None], rtol=1e-12)
    np.testing.assert_allclose(found.phi_at([5.0]) ** 2, found.phi_ss_at([5.0]) ** 2 + found.phi_s2s**2, rtol=1e-12)
    np.testing.assert_allclose(found.sigma_at([5.0]), np.hypot(found.tau_at([5.0]), found.phi_at([5.0])), rtol=1e-12)
    np.testing.assert_allclose(found.tau**2, np.mean(found.tau_at(mag[event]) ** 2, axis=0), rtol=1e-9)
    np.testing.assert_allclose(found.sigma**2, np.mean(found.sigma_at(mag[event]) ** 2, axis=0), rtol=1e-9)
    constant = decompose(y, event, site)
    np.testing.assert_array_equal(constant.tau_at([3.0, 7.0]), np.repeat(constant.tau[None], 2, axis=0))
    assert found.log_likelihood[0] > constant.log_likelihood[0] + 50


def test_magnitudes_all_on_one_side_are_constant_and_say_so():
    y, event, site, _, _ = planted(n=300, events=20)
    found = decompose(y, event, site, mag=np.full(300, 4.0))
    np.testing.assert_allclose(found.tau, decompose(y, event, site).tau, rtol=1e-9)
    np.testing.assert_array_equal(found.tau_low, found.tau_high)
    assert all("corner magnitudes" in problem for problem in found.problems)


def test_rows_may_come_in_any_order():
    y, event, site, _, _ = planted(n=600)
    shuffled = np.random.default_rng(5).permutation(len(y))
    found, again = decompose(y, event, site), decompose(y[shuffled], event[shuffled], site[shuffled])
    assert again.sites == found.sites and again.events == found.events
    for name in ("tau", "phi_s2s", "phi_ss", "event_terms", "site_terms", "event_errors", "site_errors"):
        np.testing.assert_allclose(getattr(again, name), getattr(found, name), rtol=0, atol=1e-8, err_msg=name)
    np.testing.assert_allclose(again.record_terms, found.record_terms[shuffled], rtol=0, atol=1e-8, equal_nan=True)


def test_events_and_sites_may_change_places():
    """Which factor is eliminated is our affair alone."""
    y, event, site, _, _ = planted(n=500, events=30, sites=80)
    found, turned = decompose(y, event, site), decompose(y, site, event)
    np.testing.assert_allclose(turned.tau, found.phi_s2s, rtol=1e-6)
    np.testing.assert_allclose(turned.event_terms, found.site_terms, rtol=0, atol=1e-7)
    np.testing.assert_allclose(turned.event_errors, found.site_errors, rtol=1e-6)


def test_periods_are_fitted_each_on_its_own_records():
    """A period with holes is what its records alone give; threads change nothing; unseen labels have the prior."""
    y, event, site, _, _ = planted(n=400, events=25, sites=90)
    y[event == event[0], 2] = np.nan
    found = decompose(y, event, site, intervals="profile", threads=2)
    seen = np.isfinite(y[:, 2])
    alone = decompose(y[seen, 2:], event[seen], site[seen], intervals="profile")
    for name in ("tau", "phi_s2s", "phi_ss", "bias", "bias_error", "log_likelihood"):
        assert getattr(found, name)[2] == getattr(alone, name)[0], name
    for name in ("bias", *DEVIATIONS):
        np.testing.assert_array_equal(found.intervals[name][2], alone.intervals[name][0])
    kept = [found.events.index(label) for label in alone.events]
    np.testing.assert_array_equal(found.event_terms[kept, 2], alone.event_terms[:, 0])
    missing = found.events.index(event[0])
    assert missing not in kept
    assert found.event_terms[missing, 2] == 0.0
    assert found.event_errors[missing, 2] == found.tau[2]
    np.testing.assert_array_equal(found.n_records, np.isfinite(y).sum(axis=0))
    assert found.n_events[2] == len(alone.events) < len(found.events)
    assert found.n_sites[2] == len(alone.sites)


def test_an_event_or_site_of_one_record_is_shrunk_as_theory_says():
    """With all else known, its term is tau² / (tau² + phi_s2s² + phi_ss²) of what the record leaves over."""
    y, event, site, _, _ = planted(n=800, events=40, sites=60)
    y, event, site = np.r_[y, [[2.2, 2.2, 2.2]]], np.r_[event, 99], np.r_[site, 99]
    found = decompose(y, event, site)
    part = (found.tau**2, found.phi_s2s**2)
    for terms, errors, own in (
        (found.event_terms, found.event_errors, part[0]),
        (found.site_terms, found.site_errors, part[1]),
    ):
        share = own / found.sigma**2
        np.testing.assert_allclose(terms[-1], share * (2.2 - found.bias), rtol=1e-9)
        # the bias's own error adds, shrunk by the same share
        np.testing.assert_allclose(errors[-1] ** 2, own * (1 - share) + (share * found.bias_error) ** 2, rtol=1e-8)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_a_period_with_hardly_a_record_is_nan_and_says_so(n):
    y = np.full((50, 2), np.nan)
    y[:, 0] = np.random.default_rng(0).normal(size=50)
    y[:n, 1] = 1.0
    found = decompose(y, np.arange(50) % 7, np.arange(50) % 11, intervals="profile")
    assert found.problems == ["", f"{n} records, at least 4 are needed"]
    assert list(found.converged) == [True, False]
    assert found.n_records[1] == n
    for name in ("bias", *DEVIATIONS, "event_terms", "site_terms", "site_errors", "record_terms", "log_likelihood"):
        assert np.isnan(getattr(found, name)[..., 1]).all(), name
    assert np.isnan(found.intervals["tau"][1]).all() and np.isfinite(found.intervals["tau"][0]).all()
    assert found.phi_ss[0] > 0.5


@pytest.mark.parametrize(
    ("event", "site", "unknown", "problem"),
    [
        (0, 9, {"tau", "sigma"}, "one event: tau cannot be told"),
        (7, 0, {"phi_s2s", "phi", "sigma"}, "one site: phi_s2s cannot be told"),
        (60, 9, {"tau", "phi_ss", "phi"}, "events of one record each: tau and phi_ss cannot be told apart"),
        (7, 60, {"phi_s2s", "phi_ss"}, "sites of one record each: phi_s2s and phi_ss cannot be told apart"),
        (7, 7, {"tau", "phi_s2s", "phi"}, "events and sites coincide: tau and phi_s2s cannot be told apart"),
    ],
)
def test_what_records_cannot_tell_is_nan(event, site, unknown, problem):
    """The rest is what a decomposition without that term gives."""
    y = np.random.default_rng(0).normal(size=(60, 1))
    codes = [np.arange(60) % max(levels, 1) for levels in (event, site)]
    found = decompose(y, *codes, intervals="profile")
    assert found.problems == [problem] and found.converged[0]
    assert {name for name in DEVIATIONS if np.isnan(getattr(found, name)[0])} == unknown
    assert {name for name in DEVIATIONS if np.isnan(found.intervals[name][0]).any()} == unknown
    if site == 60:
        alone = decompose(y, codes[0])
        np.testing.assert_allclose([found.tau, found.phi, found.sigma], [alone.tau, alone.phi, alone.sigma], rtol=1e-9)
        assert not found.site_terms.any() and np.isnan(found.site_errors).all()


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_residuals_that_do_not_vary(value):
    found = decompose(np.full((30, 1), value), np.arange(30) % 4, np.arange(30) % 7)
    assert found.problems == ["the residuals do not vary"] and np.isnan(found.sigma[0])


def test_events_that_explain_everything():
    event = np.arange(60) % 12
    found = decompose(np.arange(12.0)[event][:, None], event, np.arange(60) // 10, intervals="profile")
    assert found.converged[0]
    assert found.tau[0] == pytest.approx(np.std(np.arange(12), ddof=1), rel=1e-3)
    assert found.phi[0] < 1e-3
    np.testing.assert_allclose(found.event_terms[:, 0], np.arange(12) - 5.5, rtol=0, atol=1e-3)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_unit_does_not_matter(factor):
    y, event, site, _, _ = planted(n=300, events=20, sites=60)
    found, scaled = (decompose(values, event, site, intervals="profile") for values in (y, factor * y + factor))
    np.testing.assert_allclose(scaled.sigma, factor * found.sigma, rtol=1e-6)
    np.testing.assert_allclose(scaled.intervals["tau"], factor * found.intervals["tau"], rtol=1e-5)


def test_intervals():
    y, event, site, _, _ = planted(n=500, events=30, sites=60)
    none = decompose(y, event, site)
    assert all(np.isnan(ends).all() and ends.shape == (3, 2) for ends in none.intervals.values())
    profile = decompose(y, event, site, intervals="profile", level=0.9)
    drawn = decompose(y, event, site, intervals="bootstrap", level=0.9, n_bootstrap=60)
    wider = decompose(y, event, site, intervals="profile", level=0.99)
    half = stats.norm.ppf(0.95) * none.bias_error
    np.testing.assert_allclose(profile.intervals["bias"], np.stack([none.bias - half, none.bias + half], axis=1))
    for name in ("bias", *DEVIATIONS):
        ends, value = profile.intervals[name], getattr(none, name)
        assert (ends[:, 0] < value).all() and (value < ends[:, 1]).all(), name
        assert (wider.intervals[name][:, 0] < ends[:, 0]).all() and (ends[:, 1] < wider.intervals[name][:, 1]).all()
        np.testing.assert_allclose(drawn.intervals[name], ends, rtol=0, atol=0.6 * np.ptp(ends, axis=1).max())
    np.testing.assert_array_equal(profile.tau, none.tau)
    assert dataclasses.replace(none).level == 0.95 and profile.level == 0.9


# --- bad input -------------------------------------------------------------------------------------------------------
def test_no_period_and_no_record():
    assert decompose(np.zeros((5, 0)), np.arange(5), np.arange(5)).tau.shape == (0,)
    empty = decompose(np.zeros((0, 2)), [], [])
    assert empty.problems == ["0 records, at least 4 are needed"] * 2 and empty.event_terms.shape == (0, 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"residual": np.zeros(40)}, r"residual: shape \(records, periods\) is needed, not \(40,\)"),
        ({"residual": np.full((40, 2), np.inf)}, "residual: row 0, period 0 is infinite"),
        ({"event": np.arange(3)}, "event: 40 labels are needed"),
        ({"site": pd.Series(["a", None] * 20)}, "site: row 1 has no label"),
        ({"fixed": np.zeros(40)}, r"fixed: shape \(40, columns\) is needed, not \(40,\)"),
        ({"fixed": np.where(np.arange(40) == 7, np.nan, 1.0)[:, None]}, "fixed: row 7, column 0 is not a number"),
        ({"fixed": np.ones((40, 1))}, "fixed: its columns depend on each other or on the bias"),
        ({"mag": np.full(40, np.nan)}, "mag: 40 finite magnitudes are needed"),
        ({"mag": np.arange(40.0)}, "mag: event 0 has several magnitudes"),
        ({"mag": np.full(40, 5.0), "corners": (6.5, 4.5)}, "corners: the first must be below the second"),
        ({"method": "MINQUE"}, "method 'MINQUE'.*choose REML or ML"),
        ({"intervals": "yes"}, "choose REML or ML; none, profile or bootstrap"),
        ({"level": 95}, "a level between 0 and 1"),
        ({"intervals": "bootstrap", "n_bootstrap": 1}, "n_bootstrap: at least 20"),
        ({"threads": 0}, "threads: at least 1"),
    ],
)
def test_bad_input_is_refused(change, said):
    good = {"residual": np.random.default_rng(0).normal(size=(40, 2)), "event": np.arange(40) % 5}
    with pytest.raises(InputError, match=said):
        decompose(**(good | {"site": np.arange(40) % 8} | change))


def test_fixed_columns_that_coincide_at_one_period():
    y = np.random.default_rng(0).normal(size=(40, 2))
    column = (np.arange(40) < 10).astype(float)[:, None]
    y[:10, 1] = np.nan
    found = decompose(y, np.arange(40) % 5, np.arange(40) % 8, fixed=column)
    assert found.problems[0] == "" and "among these records" in found.problems[1]
    assert np.isfinite(found.coefficients[0, 0]) and np.isnan(found.coefficients[0, 1])
