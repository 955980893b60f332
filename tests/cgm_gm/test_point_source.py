"""The point source: Brune's corner and level, slopes, attenuation, envelopes, and the published model."""

import numpy as np
import pytest

from cgm_gm.point_source import (
    AMPLIFICATION,
    AMPLIFIED,
    NEAR,
    Physics,
    coherence,
    ln_amplification,
    mean_power,
    moment,
)

PHYSICS = Physics()


def test_moment_of_hanks_and_kanamori():
    np.testing.assert_allclose(moment(np.array([3.0, 5.0])), [10**13.55, 10**16.55], rtol=1e-12)


def test_corner_of_brune():
    """Stress drop = 7/16 M0 / r³ with r = 2.34 beta / (2 pi fc), at the reference magnitude and depth."""
    corner = PHYSICS.corner(3.0, 8.0)
    radius = 2.34 * 3400.0 / (2.0 * np.pi * corner)
    stress = 7.0 / 16.0 * moment(3.0) / radius**3
    np.testing.assert_allclose(stress, 1e6 * np.exp(PHYSICS.ln_stress), rtol=0.02)  # .37 is 2.34 / 2 pi rounded
    np.testing.assert_allclose(PHYSICS.corner(3.0, 8.0, stress_term=np.log(8.0)), 2.0 * corner, rtol=1e-12)
    grown = np.exp((PHYSICS.stress_per_mag - 1.5 * np.log(10.0)) / 3.0)
    np.testing.assert_allclose(PHYSICS.corner(4.0, 8.0), grown * corner, rtol=1e-12)


def test_level_and_slopes_of_the_source():
    """Far below the corner 2 pi f C M0, far above falling as 1/f, half of the level at the corner."""
    low, high = 1e-3, 1e4
    constant = 0.55 * 2.0 * np.sqrt(0.5) / (4.0 * np.pi * 2700.0 * 3400.0**3 * 1000.0)
    found = PHYSICS.ln_source(3.0, 8.0, np.array([low, PHYSICS.corner(3.0, 8.0), high, 2.0 * high]))
    np.testing.assert_allclose(found[0], np.log(2.0 * np.pi * low * constant * moment(3.0)), rtol=1e-6)
    np.testing.assert_allclose(found[1], np.log(np.pi * PHYSICS.corner(3.0, 8.0) * constant * moment(3.0)), rtol=1e-9)
    np.testing.assert_allclose(found[3] - found[2], -np.log(2.0), rtol=1e-5)


def test_path():
    """Spreading 1/R at 10 km and a power beyond; exp(-pi f (R / Q beta + kappa))."""
    lost = np.pi * 5.0 * (NEAR / (266.0 * 5.0**0.376 * 3.4) + 0.030)
    np.testing.assert_allclose(PHYSICS.ln_path(NEAR, 5.0), -np.log(10.0) - lost, rtol=1e-12)
    ratio = PHYSICS.ln_path(80.0, 5.0) - PHYSICS.ln_path(40.0, 5.0)
    slow = -1.34 * np.log(2.0) - np.pi * 5.0 * 40.0 / (266.0 * 5.0**0.376 * 3.4)
    np.testing.assert_allclose(ratio, slow, rtol=1e-12)


def test_p_is_seen_by_the_east_component_where_it_points_east():
    level = PHYSICS.p_to_s(np.array([0.0, 90.0, 180.0, 270.0]))
    np.testing.assert_allclose(level[[0, 1]], level[[2, 3]], rtol=1e-9)
    assert level[1] > 2.0 * level[0] > 0.0


def test_amplification_goes_through_its_table():
    np.testing.assert_allclose(np.exp(ln_amplification(np.array(AMPLIFIED))), AMPLIFICATION, rtol=1e-9)
    np.testing.assert_allclose(ln_amplification(np.array([1e-3, 500.0])), np.log([AMPLIFICATION[0], AMPLIFICATION[-1]]))


@pytest.mark.parametrize("phase", ["p", "s"])
@pytest.mark.parametrize("rhyp", [10.0, 60.0])
def test_mean_power_has_unit_energy_after_the_onset(phase, rhyp):
    time = np.arange(-5.0, 400.0, 0.002)
    power = mean_power(time, rhyp, 5.0, phase)
    np.testing.assert_allclose(power.sum() * 0.002, 1.0, rtol=1e-4)
    assert not power[time < 0].any() and (power >= 0).all()


def test_s_lasts_longer_far_off_and_at_low_frequency():
    time = np.arange(0.0, 200.0, 0.01)

    def half(rhyp, frequency):
        return time[(np.cumsum(mean_power(time, rhyp, frequency, "s")) * 0.01).searchsorted(0.5)]

    assert half(80.0, 5.0) > 2.0 * half(10.0, 5.0)
    assert half(40.0, 1.0) > half(40.0, 16.0)


def test_coherence_is_the_transform_of_the_power():
    time, lag = np.arange(0.0, 300.0, 0.005), np.array([0.0, 0.02, 0.1, 0.5])
    power = mean_power(time, 40.0, 5.0, "s")
    slow = [abs((power * np.exp(2j * np.pi * each * time)).sum() * 0.005) ** 2 for each in lag]
    np.testing.assert_allclose(coherence(lag, 40.0, 5.0), slow, rtol=2e-3, atol=1e-6)
