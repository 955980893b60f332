"""Laws of the decomposition of residuals: what order, names, level and unit of the residuals may change."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from laws import law

from shared.residuals import DEVIATIONS, decompose

SEEDS = st.integers(0, 2**32 - 1)


def made(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Residuals (n, 2) with gaps, of 10 events at 9 sites."""
    rng = np.random.default_rng(seed)
    event, site = np.arange(n) % 10, rng.integers(0, 9, n)
    residual = 0.2 + 0.4 * rng.normal(size=(10, 2))[event] + 0.3 * rng.normal(size=(9, 2))[site]
    residual += 0.5 * rng.normal(size=(n, 2))
    residual[rng.random((n, 2)) < 0.1] = np.nan
    return residual, event.astype(str), site.astype(str)


def same(one, other, names=("bias", *DEVIATIONS), rtol=2e-3, atol=2e-4, factor=1.0):
    for name in names:
        np.testing.assert_allclose(
            getattr(other, name), factor * getattr(one, name), rtol=rtol, atol=atol, err_msg=name
        )


@law(6, 40)
@given(SEEDS)
def test_the_order_of_records_does_not_matter(seed):
    residual, event, site = made(seed)
    moved = np.random.default_rng(seed).permutation(len(event))
    one, other = decompose(residual, event, site), decompose(residual[moved], event[moved], site[moved])
    same(one, other)
    np.testing.assert_allclose(other.event_terms, one.event_terms, rtol=2e-3, atol=1e-3)
    np.testing.assert_allclose(other.record_terms, one.record_terms[moved], rtol=2e-3, atol=1e-3)


@law(6, 40)
@given(SEEDS)
def test_names_of_events_and_sites_do_not_matter(seed):
    residual, event, site = made(seed)
    turned = np.array([f"z{9 - int(each)}" for each in event])
    one, other = decompose(residual, event, site), decompose(residual, turned, site)
    same(one, other)
    place = [other.events.index(f"z{9 - int(each)}") for each in one.events]
    np.testing.assert_allclose(other.event_terms[place], one.event_terms, rtol=2e-3, atol=1e-3)


@law(6, 40)
@given(SEEDS, st.floats(-3.0, 3.0))
def test_a_constant_goes_into_the_bias_alone(seed, constant):
    residual, event, site = made(seed)
    one, other = decompose(residual, event, site), decompose(residual + constant, event, site)
    same(one, other, DEVIATIONS)
    np.testing.assert_allclose(other.bias, one.bias + constant, rtol=0, atol=1e-3)
    np.testing.assert_allclose(other.event_terms, one.event_terms, rtol=2e-3, atol=1e-3)


@law(6, 40)
@given(SEEDS, st.floats(0.2, 5.0))
def test_another_unit_scales_everything(seed, unit):  # ln to log10, say
    residual, event, site = made(seed)
    one, other = decompose(residual, event, site), decompose(unit * residual, event, site)
    same(one, other, factor=unit, atol=1e-3)


@law(6, 40)
@given(SEEDS)
def test_mirrored_residuals_have_mirrored_terms(seed):
    residual, event, site = made(seed)
    one, other = decompose(residual, event, site), decompose(-residual, event, site)
    same(one, other, DEVIATIONS)
    np.testing.assert_allclose(other.event_terms, -one.event_terms, rtol=2e-3, atol=1e-3)


@law(8, 40)
@given(SEEDS)
def test_terms_add_up_and_variances_too(seed):
    residual, event, site = made(seed)
    found = decompose(residual, event, site)
    row = pd.Index(found.events).get_indexer(event), pd.Index(found.sites).get_indexer(site)
    whole = found.bias + found.event_terms[row[0]] + found.site_terms[row[1]] + found.record_terms
    np.testing.assert_allclose(whole, residual, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.tau**2 + found.phi**2, found.sigma**2, rtol=1e-9)
    np.testing.assert_allclose(found.phi_s2s**2 + found.phi_ss**2, found.phi**2, rtol=1e-9)
    assert (np.isnan(found.record_terms) == np.isnan(residual)).all()


@law(6, 40)
@given(SEEDS)
def test_a_period_knows_nothing_of_the_others(seed):
    residual, event, site = made(seed)
    one, alone = decompose(residual, event, site), decompose(residual[:, [1]], event, site)
    for name in ("bias", *DEVIATIONS):
        np.testing.assert_allclose(getattr(alone, name)[0], getattr(one, name)[1], rtol=1e-9, err_msg=name)
