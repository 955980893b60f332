"""Laws of the scores: signs, limits, units, and that neither order nor naming of records matters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from laws import law
from scipy import special

from bliqnet.posterior import Mixture
from ml4szeq.metrics import calibration_error, confusion, scored
from shared import scores

SIZES = st.integers(2, 30)
SEEDS = st.integers(0, 2**32 - 1)
VALUES = st.floats(-6.0, 6.0)
SIGMA = st.floats(0.05, 3.0)


def drawn(seed: int, n: int, p: int = 2, missing: float = 0.2) -> np.ndarray:
    """Residuals (n, p) with gaps, the first row without."""
    rng = np.random.default_rng(seed)
    residual = rng.normal(0.1, 0.8, (n, p))
    residual[1:][rng.random((n - 1, p)) < missing] = np.nan
    return residual


@law()
@given(arrays(float, (7, 2), elements=VALUES), SIGMA)
def test_crps_is_never_negative_and_not_above_the_error(residual, sigma):
    found = scores.crps_normal(residual, sigma)
    assert (found >= 0).all()
    most = np.abs(residual) + sigma * (np.sqrt(2.0) - 1.0) / np.sqrt(np.pi)  # what a spread costs a right median
    assert (found <= most + 1e-12).all()


@law()
@given(arrays(float, (7, 2), elements=VALUES))
def test_crps_tends_to_the_error_without_a_spread(residual):
    np.testing.assert_allclose(scores.crps_normal(residual, 1e-9), np.abs(residual), rtol=1e-6, atol=1e-8)
    same = np.broadcast_to(residual, (5, 7, 2))
    np.testing.assert_allclose(scores.crps_samples(same, np.zeros((7, 2))), np.abs(residual), rtol=1e-12, atol=1e-12)


@law()
@given(arrays(float, (7, 2), elements=VALUES), SIGMA, st.floats(0.1, 10.0))
def test_crps_is_in_the_unit_of_the_residuals(residual, sigma, unit):
    one, other = scores.crps_normal(residual, sigma), scores.crps_normal(unit * residual, unit * sigma)
    np.testing.assert_allclose(other, unit * one, rtol=1e-9, atol=1e-12)


@law()
@given(arrays(float, 9, elements=VALUES), VALUES)
def test_crps_of_samples_is_that_of_their_quantiles(samples, observed):
    levels = (np.arange(9) + 0.5) / 9
    by_quantiles = scores.crps_quantiles(np.sort(samples), levels, observed)
    np.testing.assert_allclose(scores.crps_samples(samples, observed), by_quantiles, rtol=1e-9, atol=1e-9)


@law()
@given(SEEDS, SIZES, SIGMA)
def test_pit_mirrors_the_residual(seed, n, sigma):
    residual = drawn(seed, n)
    pit, mirrored = scores.pit_normal(residual, sigma), scores.pit_normal(-residual, sigma)
    np.testing.assert_allclose(pit + mirrored, np.where(np.isnan(residual), np.nan, 1.0), rtol=1e-12)
    assert ((pit > 0.5) == (residual > 0)).all()
    np.testing.assert_allclose(scores.lh(residual, sigma), 1 - np.abs(2 * pit - 1), rtol=1e-9, atol=1e-12)


@law()
@given(SEEDS, SIZES, SIGMA)
def test_coverage_grows_with_the_level_and_is_a_share(seed, n, sigma):
    pit = scores.pit_normal(drawn(seed, n), sigma)
    found = scores.coverage(pit, (0.0, 0.3, 0.5, 0.9, 1.0))
    assert (np.diff(found, axis=0) >= 0).all()
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(found[-1], 1.0, rtol=0)
    np.testing.assert_allclose(scores.pit_histogram(pit).sum(axis=0), 1.0, rtol=1e-12)


@law(10, 80)
@given(SEEDS, SIZES)
def test_neither_order_nor_names_of_records_matter_to_scores(seed, n):
    rng, residual = np.random.default_rng(seed), drawn(seed, n)
    event, site = rng.integers(0, 4, n).astype(str), rng.integers(0, 3, n).astype(str)
    moved = rng.permutation(n)
    options = {
        "tau": 0.4,
        "phi": 0.7,
        "columns": ["PGA", "SA(1.000)"],
        "phi_s2s": 0.3,
        "observed": residual * 0 - 2 + rng.normal(size=(n, 1)),
    }
    one = scores.score_table(residual, event=event, site=site, **options)
    options["observed"] = options["observed"][moved]
    renamed = np.array(["x" + each for each in event])[moved]
    other = scores.score_table(residual[moved], event=renamed, site=site[moved], **options)
    for name in one.columns.drop(["column", "p_value"], errors="ignore"):
        np.testing.assert_allclose(one[name], other[name], rtol=1e-8, atol=1e-10, err_msg=name)


@law()
@given(SEEDS, SIZES, SIGMA)
def test_a_joint_likelihood_without_shared_terms_is_the_plain_one(seed, n, sigma):
    residual = drawn(seed, n)
    joint = scores.llh_multivariate(residual, 0.0, sigma, np.arange(n).astype(str))
    np.testing.assert_allclose(joint, scores.llh(residual, sigma), rtol=1e-9)


@law()
@given(arrays(float, (4, 3), elements=st.floats(-50.0, 50.0)), st.floats(-20.0, 20.0))
def test_weights_of_models_add_up_to_one_and_know_only_differences(found, shift):
    weights = scores.llh_weights(found)
    np.testing.assert_allclose(weights.sum(axis=0), 1.0, rtol=1e-12)
    np.testing.assert_allclose(scores.llh_weights(found + shift), weights, rtol=1e-9, atol=1e-12)


@law()
@given(SEEDS, st.integers(12, 40))
def test_correlations_are_symmetric_and_within_one(seed, n):
    terms = drawn(seed, n, 4, 0.05)
    found = scores.interperiod_correlation(terms)
    np.testing.assert_allclose(found, found.T, rtol=1e-12)
    assert (np.abs(found[np.isfinite(found)]) <= 1).all()
    own = np.diag(found)  # NaN with fewer pairs than say anything
    np.testing.assert_allclose(own[np.isfinite(own)], 1.0, rtol=1e-9)
    scaled = scores.interperiod_correlation(terms * [1.0, 2.0, -3.0, 0.5] + [0.0, 5.0, 1.0, -2.0])
    signs = np.array([1.0, 1.0, -1.0, 1.0])
    np.testing.assert_allclose(scaled, found * np.outer(signs, signs), rtol=1e-7, atol=1e-9)


# --- distributions ---------------------------------------------------------------------------------------------------
@st.composite
def mixtures(draw) -> Mixture:
    rng, n, c = np.random.default_rng(draw(SEEDS)), draw(st.integers(1, 6)), draw(st.integers(1, 4))
    weight = rng.dirichlet(np.ones(c), n)
    return Mixture(weight, rng.normal(0.0, 3.0, (n, c)), rng.uniform(0.05, 2.0, (n, c)))


@law()
@given(mixtures())
def test_quantiles_of_a_posterior_ascend_and_undo_its_distribution(mixture):
    levels = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    quantiles = mixture.quantiles(levels)
    assert (np.diff(quantiles, axis=1) >= 0).all()
    for level, column in zip(levels, quantiles.T, strict=True):
        np.testing.assert_allclose(mixture.cdf(column), level, rtol=0, atol=1e-9)


@law()
@given(mixtures(), VALUES)
def test_crps_of_a_posterior_is_its_integral(mixture, truth):
    found = mixture.crps(np.full(len(mixture.mean), truth))
    assert (found >= 0).all()
    x = np.linspace(-25.0, 25.0, 20_001)
    cdf = np.stack([mixture.cdf(np.full(len(mixture.mean), each)) for each in x[::20]], axis=1)
    slow = np.trapezoid((cdf - (x[::20] >= truth)) ** 2, x[::20], axis=1)
    np.testing.assert_allclose(found, slow, rtol=0.02, atol=0.03)


@law()
@given(mixtures(), st.floats(0.3, 4.0))
def test_a_posterior_that_is_widened_keeps_its_mean(mixture, factor):
    wide = mixture.widened(factor)
    np.testing.assert_allclose(wide.expectation(), mixture.expectation(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(wide.deviation(), factor * mixture.deviation(), rtol=1e-9)


# --- classes ---------------------------------------------------------------------------------------------------------
@law(12, 80)
@given(SEEDS, st.integers(4, 40))
def test_scores_of_classes_know_no_order_and_are_shares(seed, n):
    rng = np.random.default_rng(seed)
    observed = np.concatenate([[0, 1], rng.integers(0, 2, n - 2)])
    high = rng.random(n)
    probability = np.column_stack([1 - high, high])
    one, moved = scored(observed, probability, (8.0,)), rng.permutation(n)
    other = scored(observed[moved], probability[moved], (8.0,))
    for name, value in one.items():
        assert other[name] == pytest.approx(value, rel=1e-9, nan_ok=True), name
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "average_precision", "calibration_error"):
        assert 0 <= one[name] <= 1, name
    assert 0 <= one["brier"] <= 2 and one["log_loss"] >= 0
    matrix = confusion(observed, probability.argmax(axis=1), 2)
    assert matrix.sum() == n and matrix.trace() / n == pytest.approx(one["accuracy"], rel=1e-12)
    sure = scored(observed, np.eye(2)[observed], (8.0,))
    assert (sure["accuracy"], sure["brier"], sure["roc_auc"]) == (1.0, 0.0, 1.0)
    assert calibration_error(observed, np.eye(2)[observed]) == 0.0


@law()
@given(st.floats(-8.0, 8.0), SIGMA)
def test_pit_of_many_samples_is_that_of_their_distribution(z, sigma):
    levels = (np.arange(400) + 0.5) / 400
    samples = sigma * special.ndtri(levels)
    found = scores.pit_samples(samples, np.float64(z * sigma))
    assert found == pytest.approx(special.ndtr(z), abs=0.002)
