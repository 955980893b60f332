"""Known biases, spreads and differences are found as such."""

import numpy as np
import pytest

from cgm_gm.search_objective import cells, discriminative, fas_misfit


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
    assert abs(found.misfit - abs(bias) - abs(np.log(ratio))) < 0.06


def test_samples_all_alike_are_far_from_right_but_finite():
    observed, sampled = drawn(0.0, 1.0, n=50)
    sampled = sampled[:, :1] + 1e-3 * np.random.default_rng(1).standard_normal(sampled.shape)
    assert 3.0 < fas_misfit(observed, sampled).misfit < 12.0


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
