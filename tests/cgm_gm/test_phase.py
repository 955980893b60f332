"""Griffin-Lim: amplitudes come back as a waveform's, from phases that a seed gives, faster with momentum."""

import numpy as np
import pytest
import torch

from cgm_gm.phase import griffin_lim, random_phase
from cgm_gm.spectrogram import Stft

STFT = Stft(n_samples=2000)


@pytest.fixture(scope="module")
def made():
    """Waveforms (B, T) whose power rises and decays, and their amplitudes."""
    time = torch.arange(2000) / 100.0
    envelope = torch.exp(-0.3 * (time - 5.0).clamp_min(0.0)) * (time > 5.0) + 0.01
    waveforms = 1e-5 * envelope * torch.randn((4, 2000), generator=torch.Generator().manual_seed(0))
    return waveforms, STFT.forward(waveforms).abs()


def start(amplitude, seed=1):
    return random_phase(amplitude.shape, torch.Generator().manual_seed(seed), amplitude)


def inconsistency(waveforms, amplitude):
    return float((STFT.forward(waveforms).abs() - amplitude).norm() / amplitude.norm())


def test_the_true_phase_is_a_fixed_point(made):
    waveforms, amplitude = made
    found = griffin_lim(amplitude, STFT, STFT.forward(waveforms).angle())
    np.testing.assert_allclose(found, waveforms, rtol=0, atol=1e-3 * float(waveforms.abs().max()))
    assert inconsistency(found, amplitude) < 1e-4


def test_amplitudes_come_back(made):
    _, amplitude = made
    found = griffin_lim(amplitude, STFT, start(amplitude))
    assert found.shape == (4, 2000)
    assert inconsistency(found, amplitude) < 0.12
    ratio = STFT.forward(found).abs().sum(dim=2) / amplitude.sum(dim=2)
    assert abs(float(torch.log(ratio).mean())) < 0.02


def test_no_iteration_is_the_inverse_of_the_start(made):
    _, amplitude = made
    phase = start(amplitude)
    expected = STFT.inverse(torch.polar(amplitude, phase))
    np.testing.assert_array_equal(griffin_lim(amplitude, STFT, phase, iterations=0), expected)


def test_plain_iterations_never_lead_away_and_momentum_is_faster(made):
    _, amplitude = made
    phase = start(amplitude)
    plain = [inconsistency(griffin_lim(amplitude, STFT, phase, n, momentum=0.0), amplitude) for n in (0, 8, 32)]
    assert plain[0] > plain[1] > plain[2]
    assert inconsistency(griffin_lim(amplitude, STFT, phase, 32), amplitude) < 0.8 * plain[2]


def test_one_plain_iteration_is_what_it_says(made):
    _, amplitude = made
    phase = start(amplitude)
    consistent = STFT.forward(STFT.inverse(torch.polar(amplitude, phase)))
    expected = STFT.inverse(torch.polar(amplitude, consistent.angle()))
    found = griffin_lim(amplitude, STFT, phase, iterations=1, momentum=0.0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_a_seed_gives_a_waveform(made):
    _, amplitude = made
    one, same, other = (griffin_lim(amplitude, STFT, start(amplitude, seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert float((one - other).norm() / one.norm()) > 0.5


def test_a_waveform_does_not_depend_on_its_batch(made):
    _, amplitude = made
    phase = start(amplitude)
    whole = griffin_lim(amplitude, STFT, phase)
    parts = torch.cat([griffin_lim(amplitude[i : i + 1], STFT, phase[i : i + 1]) for i in range(4)])
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-4 * float(whole.abs().max()))


def test_silence_stays_silent():
    found = griffin_lim(torch.zeros((1, 81, STFT.n_frames)), STFT, torch.zeros((1, 81, STFT.n_frames)))
    assert torch.equal(found, torch.zeros((1, 2000)))


def test_phases_are_uniform():
    phase = random_phase((50, 40, 30), torch.Generator().manual_seed(3), torch.zeros(1))
    assert float(phase.min()) >= 0.0 and float(phase.max()) < 2.0 * np.pi + 1e-6
    assert float(torch.polar(torch.ones_like(phase), phase).mean().abs()) < 0.02
