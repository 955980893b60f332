"""Fourier amplitudes against closed forms, Parseval and pykooh."""

import numpy as np
import pykooh
import pytest

from cgm_gm.fas import BANDWIDTH, FREQUENCIES, smoothed_fas, smoothing


def test_a_spike_is_flat_and_white_noise_has_its_level():
    spike = np.zeros((1, 6000))
    spike[0, 1234] = 2.0
    np.testing.assert_allclose(smoothed_fas(spike, 0.01), 0.02, rtol=1e-5)
    noise = np.random.default_rng(0).standard_normal((400, 6000))
    expected = 0.01 * np.sqrt(6000) * np.sqrt(np.pi) / 2.0  # mean of a Rayleigh law
    np.testing.assert_allclose(smoothed_fas(noise, 0.01).mean(axis=0), expected, rtol=0.02)


def test_the_smoothing_is_pykoohs():
    wave = np.random.default_rng(1).standard_normal((3, 2000)).cumsum(axis=1)
    bins = np.fft.rfftfreq(2000, 0.01)
    for row, found in zip(wave, smoothed_fas(wave, 0.01), strict=True):
        amplitude = np.abs(np.fft.rfft(row)) * 0.01
        np.testing.assert_allclose(found, pykooh.smooth(np.array(FREQUENCIES), bins, amplitude, BANDWIDTH), rtol=1e-5)


def test_weights_add_to_one_and_chunks_change_nothing(monkeypatch):
    np.testing.assert_allclose(smoothing(6000, 0.01, FREQUENCIES, BANDWIDTH).sum(axis=0), 1.0, rtol=1e-5)
    wave = np.random.default_rng(2).standard_normal((7, 1000))
    whole = smoothed_fas(wave, 0.01)
    monkeypatch.setattr("cgm_gm.fas.CHUNK", 2)
    np.testing.assert_allclose(smoothed_fas(wave, 0.01), whole, rtol=1e-6)


def test_frequencies_beyond_nyquist_are_refused():
    with pytest.raises(ValueError, match="not all within 0 and 50 Hz"):
        smoothed_fas(np.zeros((1, 100)), 0.01, (60.0,))
