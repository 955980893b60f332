"""Known biases, spreads and differences are found as such."""

import numpy as np
import pytest

from cgm_gm.search_objective import cells, discriminative, fas_misfit
from shared.scores import crps_normal


def drawn(bias, ratio, n=4000, samples=10):
    """Observed about medians with sigma .6, samples with ``ratio`` of it, shifted."""
    random = np.random.default_rng(0)
    median = random.normal(0.0, 2.0, (n, 1))
    observed = median + 0.6 * random.standard_normal((n, 4))
    return observed, (median - bias)[:, None] + ratio * 0.6 * random.standard_normal((n, samples, 4))


@pytest.mark.parametrize(("bias", "ratio"), [(0.0, 1.0), (0.3, 1.0), (-0.2, 0.5), (0.0, 2.0)])
def test_bias_and_spread_are_those_that_were_put_in(bias, ratio):
    found = fas_misfit(*drawn(bias, ratio))
    np.testing.assert_allclose(found.bias, bias, atol=0.04)
    np.testing.assert_allclose(found.spread, np.log(ratio), atol=0.05)
    assert abs(found.bias_spread - abs(bias) - abs(np.log(ratio))) < 0.06


@pytest.mark.parametrize(("bias", "ratio"), [(0.0, 1.0), (0.3, 1.0), (0.0, 0.5), (0.0, 2.0)])
def test_the_misfit_is_the_score_of_the_normal_distribution_behind_the_samples(bias, ratio):
    found = fas_misfit(*drawn(bias, ratio))
    random = np.random.default_rng(7)
    residual, sigma = bias + 0.6 * random.standard_normal(400_000), np.full(400_000, 0.6 * ratio)
    np.testing.assert_allclose(found.crps, crps_normal(residual, sigma).mean(), rtol=0.05)
    assert found.misfit == pytest.approx(np.mean(found.crps), rel=1e-12)


def test_the_misfit_rewards_what_bias_and_spread_do_not_see():
    """One knows every median; the other nothing of them, but draws from what all records look like."""
    observed, knowing = drawn(0.0, 1.0)
    random = np.random.default_rng(5)
    ignorant = observed.mean() + observed.std() * random.standard_normal(knowing.shape)
    one, other = fas_misfit(observed, knowing), fas_misfit(observed, ignorant)
    assert one.bias_spread < 0.06 and other.bias_spread < 0.06
    assert one.misfit < 0.4 * other.misfit


def test_samples_all_alike_are_far_from_right_but_finite():
    observed, sampled = drawn(0.0, 1.0, n=50)
    sampled = sampled[:, :1] + 1e-3 * np.random.default_rng(1).standard_normal(sampled.shape)
    found = fas_misfit(observed, sampled)
    assert 3.0 < found.bias_spread < 12.0 and np.isfinite(found.misfit)


@pytest.fixture(scope="module")
def noise():
    random = np.random.default_rng(2)
    return random.standard_normal((240, 2000)).astype(np.float32), np.repeat(np.arange(12), 10)


def test_waveforms_of_one_kind_are_not_told_apart(noise):
    waveforms, event = noise
    features = cells(waveforms, 100.0)
    assert np.isfinite(features).all()
    assert discriminative(features[:120], features[120:], event) < 0.12


def test_another_envelope_is_told(noise):
    waveforms, event = noise
    fading = waveforms[120:] * np.exp(-np.linspace(0.0, 2.0, 2000, dtype=np.float32))
    assert discriminative(cells(waveforms[:120], 100.0), cells(fading, 100.0), event) > 0.45


def test_a_classifier_is_judged_on_events_it_has_not_seen():
    """What marks an event, and by it the generated ones, is of no use for other events."""
    random = np.random.default_rng(3)
    event = np.repeat(np.arange(10), 12)
    mark = random.standard_normal((10, 2, 8))
    observed, generated = (mark[event, k] + 0.1 * random.standard_normal((120, 8)) for k in range(2))
    assert discriminative(observed, generated, event) < 0.3
    assert np.isnan(discriminative(observed, generated, np.zeros(120)))
