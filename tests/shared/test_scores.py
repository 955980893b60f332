"""Scores against the same thing written slowly, closed forms, and models that are right by construction."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from shared import scores
from shared.reference_gmm import baker_jayaram_2008

COLUMNS = ["PGA", "SA(0.100)", "SA(1.000)"]


@pytest.fixture
def sample():
    """Residuals drawn from the very model that is scored, with holes; tau grows with the event, phi with the record."""
    generator = np.random.default_rng(7)
    n, events, sites = 240, 15, 60
    event, site = generator.integers(0, events, n), generator.integers(0, sites, n)
    tau = (0.2 + 0.02 * np.arange(events))[event][:, None] * np.array([1.0, 0.9, 1.3])
    phi_s2s, phi_ss = np.array([0.3, 0.35, 0.4]), 0.4 + 0.2 * generator.random((n, 3))
    residual = tau * generator.normal(size=(events, 3))[event] + phi_s2s * generator.normal(size=(sites, 3))[site]
    residual += phi_ss * generator.normal(size=(n, 3))
    residual[generator.random((n, 3)) < 0.15] = np.nan
    residual[:, 2][generator.random(n) < 0.5] = np.nan
    labels = np.array([f"event {e}" for e in event]), np.array([f"site {s}" for s in site])
    return residual, tau, np.hypot(phi_s2s, phi_ss), *labels, phi_s2s


# --- likelihood ------------------------------------------------------------------------------------------------------
def test_llh_record_by_record(sample):
    residual, tau, phi, *_ = sample
    sigma = np.sqrt(tau**2 + phi**2)
    slow = []
    for p in range(3):
        bits = [
            -np.log2(np.exp(-0.5 * (r / s) ** 2) / (s * np.sqrt(2.0 * np.pi)))
            for r, s in zip(residual[:, p], sigma[:, p], strict=True)
            if not np.isnan(r)
        ]
        slow.append(sum(bits) / len(bits))
    np.testing.assert_allclose(scores.llh(residual, sigma), slow, rtol=1e-12)


def test_llh_of_a_right_model_is_its_entropy():
    residual = 0.7 * np.random.default_rng(0).normal(size=(200_000, 1))
    np.testing.assert_allclose(scores.llh(residual, 0.7), np.log2(0.7 * np.sqrt(2 * np.pi * np.e)), atol=0.01)
    assert scores.llh(residual, 0.5) > scores.llh(residual, 0.7) < scores.llh(residual, 0.9)


def test_weights_follow_the_likelihood_ratio():
    weights = scores.llh_weights(np.array([[1.0, 2000.0], [2.0, 2001.0], [3.0, 2000.0]]))
    np.testing.assert_allclose(weights[:, 0], np.array([4.0, 2.0, 1.0]) / 7.0, rtol=1e-12)
    np.testing.assert_allclose(weights[:, 1], [0.4, 0.2, 0.4], rtol=1e-12)  # 2^-2000 is no float


@pytest.mark.parametrize("crossed", [False, True])
def test_multivariate_llh_is_the_dense_normal_density(sample, crossed):
    residual, tau, phi, event, site, phi_s2s = sample
    slow = []
    for p in range(3):
        rows = np.flatnonzero(~np.isnan(residual[:, p]))
        covariance = np.empty((len(rows), len(rows)))
        for i, a in enumerate(rows):
            for j, b in enumerate(rows):
                covariance[i, j] = (event[a] == event[b]) * tau[a, p] * tau[b, p]
                covariance[i, j] += (a == b) * phi[a, p] ** 2
                if crossed and a != b:
                    covariance[i, j] += (site[a] == site[b]) * phi_s2s[p] ** 2
        density = stats.multivariate_normal(np.zeros(len(rows)), covariance).logpdf(residual[rows, p])
        slow.append(-density / len(rows) / np.log(2.0))
    options = {"site": site, "phi_s2s": phi_s2s} if crossed else {}
    np.testing.assert_allclose(scores.llh_multivariate(residual, tau, phi, event, **options), slow, rtol=1e-10)


def test_multivariate_llh_does_not_mind_which_label_is_the_more_numerous(sample):
    residual, tau, phi, event, site, phi_s2s = sample
    tau = np.array([0.3, 0.2, 0.25])
    found = scores.llh_multivariate(residual, tau, phi, event, site=site, phi_s2s=phi_s2s)
    other_phi = np.sqrt(phi**2 - phi_s2s**2 + tau**2)
    swapped = scores.llh_multivariate(residual, phi_s2s, other_phi, site, site=event, phi_s2s=tau)
    np.testing.assert_allclose(swapped, found, rtol=1e-12)


def test_multivariate_llh_is_the_llh_when_nothing_is_shared(sample):
    residual, tau, phi, event, site, _ = sample
    np.testing.assert_allclose(
        scores.llh_multivariate(residual, 0.0, phi, event), scores.llh(residual, phi), rtol=1e-12
    )
    alone = np.arange(len(residual))
    found = scores.llh_multivariate(residual, tau, phi, alone, site=site, phi_s2s=0.0)
    np.testing.assert_allclose(found, scores.llh(residual, np.hypot(tau, phi)), rtol=1e-12)


def test_multivariate_llh_prefers_the_true_split_between_tau_and_phi():
    """The total sigma is the same in all three: the LLH cannot tell them apart."""
    generator = np.random.default_rng(3)
    event = np.repeat(np.arange(400), 10)
    residual = (0.4 * generator.normal(size=400)[event] + 0.6 * generator.normal(size=4000))[:, None]
    total = np.hypot(0.4, 0.6)
    found = [scores.llh_multivariate(residual, tau, np.sqrt(total**2 - tau**2), event) for tau in (0.0, 0.4, 0.6)]
    assert found[1] < min(found[0], found[2])


def test_multivariate_llh_refuses_what_has_no_density(sample):
    residual, tau, phi, event, site, phi_s2s = sample
    with pytest.raises(ValueError, match="above phi_s2s"):
        scores.llh_multivariate(residual, tau, phi_s2s, event, site=site, phi_s2s=phi_s2s)
    with pytest.raises(ValueError, match="both site and phi_s2s"):
        scores.llh_multivariate(residual, tau, phi, event, site=site)
    with pytest.raises(ValueError, match="negative"):
        scores.llh(residual, -phi)
    with pytest.raises(ValueError, match="sigma is 0"):
        scores.crps_normal(residual, 0.0)


def test_lh():
    np.testing.assert_allclose(scores.lh(np.array([[0.0], [-1.96], [0.6745 / 2]]), 1.0)[:2, 0], [1, 0.05], atol=1e-4)
    np.testing.assert_allclose(scores.lh(np.array([[0.6744898 * 0.3]]), 0.3), 0.5, atol=1e-7)
    right = scores.lh(0.7 * np.random.default_rng(1).normal(size=(20_000, 1)), 0.7)
    assert stats.kstest(right[:, 0], "uniform").pvalue > 0.01
    np.testing.assert_allclose(np.median(right), 0.5, atol=0.02)


# --- distance --------------------------------------------------------------------------------------------------------
def test_edr_is_the_sum_over_bands_of_the_paper(sample):
    """Kale and Akkar (2013), record by record and band by band."""
    residual, tau, phi, *_ = sample
    generator = np.random.default_rng(2)
    observed = generator.normal(-3.0, 1.0, size=residual.shape)
    observed[5, 0] = np.nan
    sigma, width = np.hypot(tau, phi), 0.002
    found = scores.edr(residual, sigma, observed)
    for p in range(3):
        rows = np.isfinite(residual[:, p] + observed[:, p])
        r, s, a = residual[rows, p], sigma[rows, p], observed[rows, p]
        squares = 0.0
        for difference, deviation in zip(r, s, strict=True):
            d = np.arange(width / 2, abs(difference) + 3 * deviation, width)
            normal = stats.norm(difference, deviation)
            below = normal.cdf(d + width / 2) - normal.cdf(-d - width / 2)
            above = normal.cdf(d - width / 2) - normal.cdf(-d + width / 2)
            squares += (d * (below - above)).sum() ** 2
        slope, intercept = np.polyfit(a, a - r, 1)
        corrected = (a - r) - (intercept + slope * a - a)
        kappa = (r**2).sum() / ((a - corrected) ** 2).sum()
        np.testing.assert_allclose(found.mde[p], np.sqrt(squares / len(r)), rtol=2e-4)
        np.testing.assert_allclose(found.kappa[p], kappa, rtol=1e-10)
        np.testing.assert_allclose(found.edr[p], np.sqrt(kappa * squares / len(r)), rtol=2e-4)


def test_edr_without_cutoff_uses_the_mean_of_a_folded_normal():
    residual, observed = np.array([[-0.4], [0.0], [0.9]]), np.array([[-3.0], [-2.0], [-1.0]])
    mean = [stats.foldnorm(abs(r) / 0.6, scale=0.6).mean() for r in residual[:, 0]]
    found = scores.edr(residual, 0.6, observed, cutoff=12.0)
    np.testing.assert_allclose(found.mde, np.sqrt(np.mean(np.square(mean))), rtol=1e-10)


def test_kappa_is_one_without_a_trend_and_grows_with_it():
    generator = np.random.default_rng(5)
    predicted = generator.normal(-3.0, 1.5, size=(5000, 1))
    noise = 0.1 * generator.normal(size=predicted.shape)
    steep = predicted + noise + 0.3 * (predicted + 3.0)
    along, across = scores.edr(noise, 0.1, predicted + noise), scores.edr(steep - predicted, 0.1, steep)
    np.testing.assert_allclose(along.kappa, 1.0, atol=0.02)
    assert across.kappa > 5.0


# --- continuous ranked probability score -----------------------------------------------------------------------------
@pytest.mark.parametrize(("residual", "sigma"), [(0.0, 1.0), (0.8, 0.5), (-2.0, 0.7)])
def test_crps_of_a_normal_is_its_integral(residual, sigma):
    def below(x):
        return stats.norm.cdf(x, scale=sigma) ** 2

    def above(x):
        return (1.0 - stats.norm.cdf(x, scale=sigma)) ** 2

    integral = integrate.quad(below, -12.0, residual)[0] + integrate.quad(above, residual, 12.0)[0]
    np.testing.assert_allclose(scores.crps_normal(np.array([[residual]]), sigma), integral, rtol=1e-7)


def test_crps_of_samples_pair_by_pair():
    generator = np.random.default_rng(4)
    samples, observed = generator.normal(size=(7, 2, 3)), generator.normal(size=(2, 3))
    for place in np.ndindex(2, 3):
        x, y = samples[:, *place], observed[place]
        pairs = sum(abs(a - b) for a in x for b in x)
        slow = np.mean(np.abs(x - y)) - pairs / (2 * 49)
        np.testing.assert_allclose(scores.crps_samples(samples, observed)[place], slow, rtol=1e-12)
        slow = np.mean(np.abs(x - y)) - pairs / (2 * 7 * 6)
        np.testing.assert_allclose(scores.crps_samples(samples, observed, fair=True)[place], slow, rtol=1e-12)


def test_crps_of_samples_and_quantiles_tend_to_that_of_the_normal():
    residual = np.array([[-1.0, 0.2], [0.4, 2.0]])
    exact = scores.crps_normal(residual, 0.6)
    levels = np.linspace(0.0025, 0.9975, 200)
    quantiles = np.broadcast_to(stats.norm.ppf(levels, scale=0.6)[:, None, None], (200, 2, 2))
    np.testing.assert_allclose(scores.crps_quantiles(quantiles, levels, residual), exact, rtol=2e-3)
    samples = 0.6 * np.random.default_rng(0).normal(size=(20_000, 2, 2))
    np.testing.assert_allclose(scores.crps_samples(samples, residual), exact, rtol=0.05)


def test_crps_of_quantiles_at_middle_levels_is_that_of_samples():
    generator = np.random.default_rng(8)
    samples, observed = np.sort(generator.normal(size=(9, 5)), axis=0), generator.normal(size=5)
    observed[2] = np.nan
    found = scores.crps_quantiles(samples, (np.arange(9) + 0.5) / 9, observed)
    np.testing.assert_allclose(found, scores.crps_samples(samples, observed), rtol=1e-10)
    assert np.isnan(found[2])


@pytest.mark.parametrize("levels", [[0.5, 0.5], [0.9, 0.1], [0.0, 0.5], [0.5, 1.0]])
def test_levels_that_do_not_ascend_are_refused(levels):
    with pytest.raises(ValueError, match="levels must ascend"):
        scores.crps_quantiles(np.zeros((2, 3)), levels, np.zeros(3))


# --- calibration -----------------------------------------------------------------------------------------------------
def test_calibration_of_a_right_and_of_a_wide_model():
    residual = 0.7 * np.random.default_rng(6).normal(size=(40_000, 1)) * np.ones((1, 2))
    residual[:100, 0] = np.nan
    pit = scores.pit_normal(residual, np.array([0.7, 1.4]))
    shares = scores.coverage(pit, (0.5, 0.95))
    np.testing.assert_allclose(shares[:, 0], [0.5, 0.95], atol=0.01)
    wide = [1 - 2 * stats.norm.sf(2 * stats.norm.isf((1 - level) / 2)) for level in (0.5, 0.95)]
    np.testing.assert_allclose(shares[:, 1], wide, atol=0.01)
    histogram = scores.pit_histogram(pit, bins=5)
    assert histogram.shape == (5, 2)
    np.testing.assert_allclose(histogram.sum(axis=0), 1.0, rtol=1e-12)
    np.testing.assert_allclose(histogram[:, 0], 0.2, atol=0.01)
    np.testing.assert_allclose(
        histogram[:, 1], np.diff(stats.norm.cdf(2 * stats.norm.ppf(np.linspace(0, 1, 6)))), atol=0.01
    )
    uniform = scores.uniformity(pit)
    assert uniform["n"].tolist() == [39_900, 40_000]
    np.testing.assert_allclose(uniform["mean"], 0.5, atol=0.01)
    np.testing.assert_allclose(uniform["spread"][0], 1.0, atol=0.01)
    assert uniform["spread"][1] < 0.8
    assert uniform["p_value"][0] > 0.01 > uniform["p_value"][1]
    np.testing.assert_allclose(uniform["ks"][1], stats.kstest(pit[:, 1], "uniform").statistic, rtol=1e-12)


def test_pit_of_samples():
    samples = np.array([[1.0, 1.0, 1.0], [2.0, 2.0, np.nan], [3.0, 3.0, 1.0], [4.0, 4.0, 1.0]])
    np.testing.assert_allclose(scores.pit_samples(samples, np.array([2.5, 3.0, 2.0])), [0.5, 0.625, np.nan], rtol=1e-12)
    assert np.isnan(scores.pit_samples(samples[:, :1], np.array([np.nan])))


def test_the_ends_of_the_pit_are_counted():
    np.testing.assert_allclose(scores.pit_histogram(np.array([[0.0], [1.0]]), 4)[:, 0], [0.5, 0, 0, 0.5], rtol=1e-12)


# --- between periods -------------------------------------------------------------------------------------------------
def test_correlation_pair_by_pair(sample):
    residual = sample[0]
    found = scores.interperiod_correlation(residual + np.array([10.0, 0.0, 0.0]))
    np.testing.assert_allclose(found, pd.DataFrame(residual).corr(), rtol=1e-10)
    few = residual.copy()
    few[9:, 0] = np.nan
    assert np.isnan(scores.interperiod_correlation(few)[0]).all()
    constant = np.ones((50, 2)) * [1.0, 2.0]
    assert np.isnan(scores.interperiod_correlation(constant)).all()


def test_correlation_table_has_the_published_curve_beside_each_term():
    generator = np.random.default_rng(9)
    terms = generator.normal(size=(300, 3)) @ np.linalg.cholesky(baker_jayaram_2008(np.array([0.0, 0.1, 1.0]))).T
    table = scores.correlation_table({"event": terms, "total": -terms}, COLUMNS)
    assert list(zip(table["column_1"], table["column_2"], strict=True)) == [
        ("PGA", "SA(0.100)"),
        ("PGA", "SA(1.000)"),
        ("SA(0.100)", "SA(1.000)"),
    ]
    np.testing.assert_allclose(table["period_2"], [0.1, 1.0, 1.0], rtol=1e-12)
    np.testing.assert_allclose(table["event"], table["baker_jayaram_2008"], atol=0.15)
    np.testing.assert_allclose(table["total"], table["event"], rtol=1e-12)
    np.testing.assert_allclose(
        table["baker_jayaram_2008"][2], baker_jayaram_2008(np.array([0.1, 1.0]))[0, 1], rtol=1e-12
    )


# --- all at once -----------------------------------------------------------------------------------------------------
def test_score_table(sample):
    residual, tau, phi, event, site, phi_s2s = sample
    residual = residual.copy()
    residual[:, 2] = np.nan
    sigma, observed = np.hypot(tau, phi), np.random.default_rng(0).normal(size=residual.shape)
    table = scores.score_table(
        residual, tau, phi, event, COLUMNS, observed=observed, site=site, phi_s2s=phi_s2s, levels=(0.5, 0.68)
    )
    assert table["column"].tolist() == COLUMNS
    assert table["n"].tolist() == np.isfinite(residual).sum(axis=0).tolist()
    assert table.loc[2].drop(["column", "period", "n"]).isna().all()  # and no warning on the way
    expected = {
        "bias": np.nanmean(residual[:, :2], axis=0),
        "std": np.nanstd(residual[:, :2], axis=0),
        "z_mean": np.nanmean((residual / sigma)[:, :2], axis=0),
        "z_std": np.nanstd((residual / sigma)[:, :2], axis=0),
        "llh": scores.llh(residual, sigma)[:2],
        "llh_multivariate": scores.llh_multivariate(residual, tau, phi, event, site=site, phi_s2s=phi_s2s)[:2],
        "lh_median": np.nanmedian(scores.lh(residual, sigma)[:, :2], axis=0),
        "edr": scores.edr(residual, sigma, observed).edr[:2],
        "kappa": scores.edr(residual, sigma, observed).kappa[:2],
        "crps": np.nanmean(scores.crps_normal(residual, sigma)[:, :2], axis=0),
        "coverage_50": np.nanmean(
            np.where(np.isnan(residual), np.nan, np.abs(residual) < 0.67449 * sigma)[:, :2], axis=0
        ),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(table[name][:2], values, rtol=1e-10, err_msg=name)
    without = scores.score_table(residual, tau, phi, event, COLUMNS)
    assert "edr" not in without
    assert {"coverage_68", "coverage_90", "coverage_95"} <= set(without)


def test_a_record_without_a_predicted_spread_is_not_scored(sample):
    residual, tau, phi, event, *_ = sample
    tau, kept = tau.copy(), np.arange(len(residual)) % 3 > 0
    tau[~kept] = np.nan
    found = scores.score_table(residual, tau, phi, event, COLUMNS)
    expected = scores.score_table(residual[kept], tau[kept], phi[kept], event[kept], COLUMNS)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-12)
