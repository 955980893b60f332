"""Intensity measures against closed forms, and the oscillator's equations written again step by step."""

import itertools

import numpy as np
import pytest

from cgm_gm import intensity

DT = 0.01
TIME = np.arange(6000) * DT


def test_harmonic_at_resonance():
    """The steady response of an oscillator at its own period is 1 / (2 damping) times the shaking."""
    shaking = 2.0 * np.sin(2.0 * np.pi * TIME / 0.5)
    found = intensity.psa(shaking[None], DT, (0.5,))[0, 0]
    np.testing.assert_allclose(found, 2.0 / (2.0 * 0.05), rtol=0.01)


def test_stiff_and_soft_oscillators():
    shaking = np.sin(2.0 * np.pi * TIME / 2.0)[None]
    stiff, soft = intensity.psa(shaking, DT, (0.05, 40.0), damping=0.3)[0]
    np.testing.assert_allclose(stiff, 1.0, rtol=0.01)
    assert soft < 0.12


def test_oscillator_step_by_step():
    """Nigam and Jennings' recursion by the matrix exponential of state and of linear forcing."""
    from scipy.linalg import expm

    shaking = np.random.default_rng(0).standard_normal((3, 400))
    omega = 2.0 * np.pi / 0.4
    matrix = np.zeros((4, 4))
    matrix[0, 1], matrix[1, :3], matrix[2, 3] = 1.0, (-(omega**2), -0.1 * omega, -1.0), 1.0
    step, expected = expm(matrix * DT), []
    shaking[:, 0] = 0.0  # both begin at rest, unshaken
    for record in shaking:
        state, most = np.zeros(2), 0.0
        for now, then in itertools.pairwise(record):
            state = (step @ np.array([*state, now, (then - now) / DT]))[:2]
            most = max(most, abs(state[0]) * omega**2)
        expected.append(most)
    np.testing.assert_allclose(intensity.psa(shaking, DT, (0.4,))[:, 0], expected, rtol=1e-9)


def test_arias_of_a_decaying_pulse():
    """∫ (a e^(-kt))² dt = a² / 2k; 5 to 95 % of it take ln(0.95 / 0.05) / 2k."""
    pulse = 3.0 * np.exp(-0.5 * TIME)[None]
    np.testing.assert_allclose(intensity.arias(pulse, DT), np.pi / (2.0 * 9.80665) * 9.0, rtol=1e-4)
    found = intensity.significant_duration(pulse, DT)
    np.testing.assert_allclose(found, np.log(0.95 / 0.05), rtol=1e-3)
    np.testing.assert_allclose(intensity.significant_duration(pulse, DT, 0.05, 0.75), np.log(0.95 / 0.25), rtol=1e-3)


def test_uniform_shaking_and_silence():
    both = np.stack([np.ones(1001), np.zeros(1001)])
    found = intensity.significant_duration(both, DT)
    np.testing.assert_allclose(found[0], 0.9 * 10.0, rtol=1e-9)
    assert np.isnan(found[1])


def burst(frequency):
    return np.exp(-(((TIME - 20.0) / 3.0) ** 2)) * np.sin(2.0 * np.pi * frequency * (TIME - 20.0))


@pytest.mark.parametrize("frequency", [1.0, 15.0])
def test_derivative_and_integral_undo_each_other(frequency):
    velocity = burst(frequency)[None]
    acceleration, same = intensity.motions(velocity, DT, "velocity")
    np.testing.assert_allclose(same, velocity, atol=1e-12)
    np.testing.assert_allclose(np.abs(acceleration).max(), 2.0 * np.pi * frequency, rtol=0.02)
    _, back = intensity.motions(acceleration, DT, "acceleration")
    np.testing.assert_allclose(back, velocity, atol=1e-6)


def test_measures_scale_and_do_not_depend_on_chunks(monkeypatch):
    noise = np.random.default_rng(1).standard_normal((5, 6000)) * burst(4.0)
    one = intensity.measures(noise.astype(np.float32), DT)
    monkeypatch.setattr(intensity, "CHUNK", 2)
    np.testing.assert_allclose(intensity.measures(noise.astype(np.float32), DT), one, rtol=1e-9)
    double = intensity.measures(2.0 * noise.astype(np.float32), DT)
    for name, power in {"pga": 1, "pgv": 1, "psa_0.1": 1, "psa_2": 1, "arias": 2, "d5_75": 0, "d5_95": 0}.items():
        np.testing.assert_allclose(double[name], 2.0**power * one[name], rtol=1e-9)
    assert (one["d5_75"] < one["d5_95"]).all()
