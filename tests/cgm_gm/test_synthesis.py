"""Shaped noise: bands that keep power, filters and envelopes that do what they say, nothing that wraps around."""

import numpy as np
import torch

from cgm_gm.fas import smoothed_fas
from cgm_gm.synthesis import Bank

BANK = Bank(n_samples=2000, sampling_rate=100.0, n_frequencies=81)
K = len(BANK.centres())


def noise(count: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((count, BANK.length))).float()


def test_bands_share_all_frequencies():
    centres = BANK.centres()
    assert centres[0] == 0 and centres[-1] == 80 and centres == sorted(set(centres))
    np.testing.assert_allclose(BANK.shares(BANK.bins()).sum(axis=0), 1.0, rtol=1e-12)
    assert BANK.weights.sum() == 81


def test_means_over_bands_are_weighted_means():
    power = torch.rand(2, 81, 5, dtype=torch.float64)
    found = BANK.averaged(power)
    torch.testing.assert_close(BANK.averaged(torch.ones(1, 81, 3))[0], torch.ones(K, 3))
    total = (found * torch.as_tensor(BANK.weights)[:, None]).sum(dim=1)
    torch.testing.assert_close(total, power.sum(dim=1), rtol=1e-10, atol=0.0)
    flat = BANK.between(torch.full((1, K), 0.3))
    torch.testing.assert_close(flat, torch.full((1, 81), 0.3))


def test_a_level_envelope_changes_nothing():
    drawn = noise(3)
    spectra = BANK.filtered(drawn, torch.zeros(3, 81))
    found = BANK.enveloped(spectra, torch.zeros(3, K, 87), 23.0)
    plain = BANK.cut(torch.fft.irfft(spectra, n=BANK.length))
    torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(plain.square().mean(), drawn.square().mean(), rtol=0.02)


def test_a_filter_moves_amplitudes_by_what_it_says():
    drawn, at = noise(40), (2.0, 10.0, 30.0)
    ln_gain = torch.as_tensor(np.interp(np.arange(81) * 0.625, at, [0.5, -0.5, 0.2])).float()
    filtered, plain = (
        BANK.cut(torch.fft.irfft(BANK.filtered(drawn, each.expand(40, -1)), n=BANK.length)).numpy()
        for each in (ln_gain, torch.zeros(81))
    )
    ratio = np.log(smoothed_fas(filtered, 0.01, at) / smoothed_fas(plain, 0.01, at)).mean(axis=0)
    np.testing.assert_allclose(ratio, [0.5, -0.5, 0.2], atol=0.07)  # kinks are smoothed


def test_power_follows_the_envelope_and_does_not_wrap():
    ln_power = torch.full((200, K, 87), -12.0)
    ln_power[:, :, 60:] = 0.0  # from 13.8 s to the end
    found = BANK.enveloped(BANK.filtered(noise(200), torch.zeros(200, 81)), ln_power, 23.0)
    power = found.square().mean(dim=0)
    assert power[:1300].max() < 2e-4 * power[1500:].mean()
    np.testing.assert_allclose(power[1500:].mean(), 1.0, rtol=0.05)


def test_an_odd_number_of_samples():
    bank = Bank(n_samples=1999, sampling_rate=100.0, n_frequencies=81)
    drawn = torch.randn(2, bank.length)
    assert bank.enveloped(bank.filtered(drawn, torch.zeros(2, 81)), torch.zeros(2, K, 87), 23.0).shape == (2, 1999)
