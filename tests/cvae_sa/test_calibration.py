"""The spread that held-out events tell, against planted residuals."""

import numpy as np
import pandas as pd
import pytest

from cvae_sa.calibration import USUAL_TAU_SHARE, spread_factor, tau_share

GENERATOR = np.random.default_rng(5)


def residuals(n: int, n_periods: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Residuals with a spread of 1.4 sigma in H and 0.8 in V, that sigma, and the components."""
    component = np.tile(["H", "V"], n)
    sigma = np.exp(GENERATOR.uniform(-1.0, 0.0, (2 * n, n_periods)))
    factor = np.where(component == "H", 1.4, 0.8)[:, None]
    return factor * sigma * GENERATOR.standard_normal((2 * n, n_periods)), sigma, component


def test_the_planted_factor_comes_back():
    residual, sigma, component = residuals(10_000, 3)
    residual[::3, 1] = np.nan
    found = spread_factor(residual, sigma, component)
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found[0], 1.4, rtol=0.03)
    np.testing.assert_allclose(found[1], 0.8, rtol=0.03)


def test_the_factor_brings_the_intervals_to_their_levels_with_heavy_tails_too():
    z = GENERATOR.standard_t(8, (20_000, 1))
    component = np.full(len(z), "H")
    factor = spread_factor(z, np.ones_like(z), component)[0, 0]
    for level, half in ((0.68, 0.9945), (0.95, 1.96)):
        assert np.mean(np.abs(z) < half * factor) == pytest.approx(level, abs=0.03)  # the root mean square alone: .716


def test_a_period_with_few_records_leans_on_the_others():
    residual, sigma, component = residuals(5_000, 4)
    residual[:, 3] *= 5.0
    residual[40:, 3] = np.nan  # 20 records of each
    residual[:, 2] *= 2.0
    found = spread_factor(residual, sigma, component)
    assert found[0, 2] == pytest.approx(2.8, rel=0.05)
    assert 1.5 < found[0, 3] < 4.0
    residual[1:, 3] = np.nan  # one record tells nothing, none even less
    alone = spread_factor(residual, sigma, component)
    residual[:, 3] = np.nan
    none = spread_factor(residual, sigma, component)
    assert np.isfinite(alone).all()
    np.testing.assert_allclose(alone[:, 3], none[:, 3], rtol=0.02)


def test_a_component_without_records_takes_the_factor_of_all():
    residual, sigma, component = residuals(5_000, 2)
    only_h = component == "H"
    found = spread_factor(residual[only_h], sigma[only_h], component[only_h])
    np.testing.assert_allclose(found, 1.4, rtol=0.05)


def planted(tau: float, phi: float, n_events: int = 400, each: int = 8) -> tuple[np.ndarray, pd.DataFrame]:
    event = np.repeat(np.arange(n_events), each)
    terms = tau * GENERATOR.standard_normal((n_events, 2))[event]
    residual = terms + phi * GENERATOR.standard_normal((len(event), 2))
    table = pd.DataFrame({"event_id": event, "component": "H", "mag": 5.0, "station_id": np.arange(len(event)) % 97})
    return residual, table.assign(station_id=[f"S{number}" for number in table["station_id"]])


@pytest.mark.parametrize(("tau", "phi"), [(0.3, 0.6), (0.5, 0.5)])
def test_the_planted_share_of_tau_comes_back(tau, phi):
    residual, table = planted(tau, phi)
    found = tau_share(residual, table)
    np.testing.assert_allclose(found[0], tau**2 / (tau**2 + phi**2), atol=0.05)
    np.testing.assert_array_equal(found[1], USUAL_TAU_SHARE)


def test_without_a_residual_the_share_is_the_usual():
    residual, table = planted(0.3, 0.6, n_events=20)
    np.testing.assert_array_equal(tau_share(np.full_like(residual, np.nan), table), USUAL_TAU_SHARE)
    found = tau_share(np.where([True, False], residual, np.nan), table)
    assert found[0, 1] == USUAL_TAU_SHARE
    assert (found >= 0).all() and (found <= 1).all()
