"""Laws of waveforms: response spectra at their ends, energy in time and frequency, linearity, rotation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import law
from scipy import fft

from cgm_gm import fas, intensity, processing
from cgm_gm.spectrogram import Stft
from cgm_gm.waveform_file import UNITS

SEEDS = st.integers(0, 2**32 - 1)
DT = 0.01


def motion(seed: int, n: int = 1, t: int = 800) -> np.ndarray:
    """Waveforms (n, t) that begin and end in quiet, without much above 10 Hz."""
    rng = np.random.default_rng(seed)
    shape = np.sin(np.pi * np.linspace(0.0, 1.0, t)) ** 2
    time = np.arange(t) * DT
    waves = [np.sin(2 * np.pi * (f * time + rng.random((n, 1)))) * rng.random((n, 1)) for f in rng.uniform(0.5, 9.0, 6)]
    return np.sum(waves, axis=0) * shape + 1e-9


@law()
@given(SEEDS)
def test_spectral_acceleration_of_a_stiff_oscillator_is_pga(seed):
    acceleration = motion(seed, 2)
    pga = (
        np.abs(fft.irfft(np.pad(fft.rfft(acceleration), ((0, 0), (0, 3600))), 8000)).max(axis=1) * 10
    )  # between samples
    found = intensity.psa(acceleration, DT, (0.005, 0.01))
    np.testing.assert_allclose(found, np.broadcast_to(pga[:, None], found.shape), rtol=0.02)


@law()
@given(SEEDS)
def test_displacement_of_a_soft_oscillator_is_that_of_the_ground(seed):
    acceleration = motion(seed, 2)
    acceleration -= acceleration.mean(axis=1, keepdims=True)
    period = 500.0
    ground = np.abs(np.cumsum(np.cumsum(acceleration, axis=1), axis=1) * DT**2).max(axis=1)
    found = intensity.psa(acceleration, DT, (period,), damping=0.001)[:, 0] * (period / (2 * np.pi)) ** 2
    np.testing.assert_allclose(found, ground, rtol=0.05)


@law()
@given(SEEDS, st.floats(-50.0, 50.0).filter(lambda factor: abs(factor) > 1e-3))
def test_measures_of_a_motion_grow_with_it(seed, factor):
    one, other = (intensity.measures(each, DT, "acceleration") for each in (motion(seed, 2), factor * motion(seed, 2)))
    for name in one:
        power = {"arias": 2, "d5_75": 0, "d5_95": 0}.get(name, 1)
        np.testing.assert_allclose(other[name], abs(factor) ** power * one[name], rtol=1e-7, err_msg=name)


@law()
@given(SEEDS)
def test_energy_is_the_same_in_time_and_in_frequency(seed):
    waveform = motion(seed)[0]
    amplitude = np.abs(fft.rfft(waveform)) * DT  # FAS, one-sided
    double = np.full(len(amplitude), 2.0)
    double[[0, -1]] = 1.0
    assert (double * amplitude**2).sum() / (len(waveform) * DT) == pytest.approx((waveform**2).sum() * DT, rel=1e-9)
    weights = fas.smoothing(len(waveform), DT, fas.FREQUENCIES, fas.BANDWIDTH)
    np.testing.assert_allclose(weights.sum(axis=0), 1.0, rtol=1e-5)
    np.testing.assert_allclose(fas.smoothed_fas(waveform[None], DT)[0], amplitude @ weights, rtol=5e-3)


@law()
@given(SEEDS, st.integers(1, 60))
def test_amplitudes_do_not_know_when_a_motion_begins(seed, late):
    waveform = np.pad(motion(seed, 2, 600), ((0, 0), (0, 100)))
    later = np.roll(waveform, late, axis=1)
    np.testing.assert_allclose(fas.smoothed_fas(later, DT), fas.smoothed_fas(waveform, DT), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(intensity.psa(later, DT, (0.2, 1.0)), intensity.psa(waveform, DT, (0.2, 1.0)), rtol=0.02)


@law()
@given(SEEDS, st.floats(2.0, 88.0))  # nearer to north or east a sensor counts as upright
def test_a_turn_of_the_sensor_keeps_energy_and_vector(seed, angle):
    east, north = motion(seed), motion(seed + 1)
    turned = [np.sin(np.radians(a)) * east + np.cos(np.radians(a)) * north for a in (angle, angle + 90.0)]
    whole = intensity.arias(east, DT) + intensity.arias(north, DT)
    np.testing.assert_allclose(sum(intensity.arias(each, DT) for each in turned), whole, rtol=1e-9)
    channels = [processing.direction(angle), processing.direction(angle + 90.0), processing.direction(0.0, -90.0)]
    for wanted, original in ((90.0, east), (0.0, north)):
        share = processing.weights(processing.direction(wanted), channels)
        np.testing.assert_allclose(
            sum(s * c for s, c in zip(share, [*turned, 0 * east], strict=True)), original, rtol=1e-6, atol=1e-9
        )


@law()
@given(SEEDS, st.floats(0.02, 0.5), st.floats(0.6, 0.98))
def test_significant_durations_lie_within_the_record_and_within_each_other(seed, low, high):
    waveform = motion(seed, 2)
    wide, narrow = (intensity.significant_duration(waveform, DT, *share) for share in ((0.01, 0.99), (low, high)))
    assert ((narrow > 0) & (narrow <= wide + 1e-9) & (wide <= waveform.shape[1] * DT)).all()
    whole = intensity.significant_duration(waveform, DT, low, 0.55) + intensity.significant_duration(
        waveform, DT, 0.55, high
    )
    np.testing.assert_allclose(whole, narrow, rtol=1e-6)


@law(10, 60)
@given(SEEDS, st.sampled_from([(160, 46), (64, 16), (100, 25)]))
def test_spectrograms_there_and_back(seed, shape):
    waveform = torch.from_numpy(motion(seed, 2, 920))
    stft = Stft(*shape, 920)
    again = stft.inverse(stft.forward(waveform))
    np.testing.assert_allclose(again[:, 50:-80], waveform[:, 50:-80], rtol=1e-6, atol=1e-6)
    assert stft.forward(waveform).shape == (2, stft.n_frequencies, stft.n_frames)


@law()
@given(SEEDS)
def test_velocity_from_acceleration_from_velocity(seed):
    velocity = np.pad(motion(seed, 2), ((0, 0), (100, 100)))
    acceleration, _ = intensity.motions(velocity, DT, "velocity")
    _, again = intensity.motions(acceleration, DT, "acceleration")
    np.testing.assert_allclose(again, velocity, rtol=0, atol=2e-3 * np.abs(velocity).max())
    assert set(UNITS) == {"velocity", "acceleration"}


@law(10, 60)
@given(SEEDS, st.sampled_from([50.0, 80.0, 125.0, 200.0]))
def test_a_motion_at_another_rate_is_the_same_motion(seed, rate):
    waveform = motion(seed, 1, 800)[0]
    there = processing.resample(waveform, 100.0, rate)
    again = processing.resample(there, rate, 100.0)
    n = min(len(again), len(waveform)) - 40
    np.testing.assert_allclose(again[40:n], waveform[40:n], rtol=0, atol=0.02 * np.abs(waveform).max())
