"""One window in both directions: what is transformed comes back, and power is where it belongs."""

import numpy as np
import pytest
import torch

from cgm_gm.spectrogram import Stft


@pytest.fixture(scope="module")
def noise():
    return torch.randn((3, 6000), generator=torch.Generator().manual_seed(0))


def test_shapes_are_the_published_ones(noise):
    stft = Stft()
    assert (stft.n_frequencies, stft.n_frames) == (81, 131)
    found = stft.forward(noise)
    assert found.shape == (3, 81, 131) and found.is_complex()
    assert stft.inverse(found).shape == noise.shape


@pytest.mark.parametrize(("n_fft", "hop", "n_samples"), [(160, 46, 6000), (128, 32, 3001), (200, 50, 5999)])
def test_round_trip(n_fft, hop, n_samples):
    noise = torch.randn((2, n_samples), generator=torch.Generator().manual_seed(1))
    stft = Stft(n_fft, hop, n_samples)
    assert stft.forward(noise).shape[1:] == (stft.n_frequencies, stft.n_frames)
    np.testing.assert_allclose(stft.inverse(stft.forward(noise)), noise, rtol=0, atol=1e-6 * float(noise.abs().max()))


def test_round_trip_of_small_ground_motion(noise):
    stft, weak = Stft(), 1e-9 * noise.double()
    np.testing.assert_allclose(stft.inverse(stft.forward(weak)), weak, rtol=0, atol=1e-15 * 1e-9 * 100)


def test_a_frame_is_the_transform_of_the_windowed_samples_about_its_middle(noise):
    stft, rate = Stft(), 100.0
    frame = 40
    middle = round(float(stft.frame_times(rate)[frame]) * rate)
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(160) / 160)
    slow = np.fft.rfft(noise[0, middle - 80 : middle + 80].numpy().astype(float) * window)
    np.testing.assert_allclose(stft.forward(noise)[0, :, frame], slow, rtol=0, atol=1e-5 * np.abs(slow).max())


def test_a_tone_is_found_at_its_frequency():
    stft, rate = Stft(), 100.0
    tone = torch.sin(2.0 * torch.pi * 12.5 * torch.arange(6000) / rate)[None]
    bin_found = int(stft.forward(tone).abs()[0, :, 60].argmax())
    assert float(stft.frequencies(rate)[bin_found]) == 12.5


def test_the_inverse_is_the_nearest_in_least_squares(noise):
    stft = Stft()
    wanted = stft.forward(noise) * torch.rand((3, 81, 131), generator=torch.Generator().manual_seed(2))
    nearest = stft.inverse(wanted)
    # by Parseval's theorem every bin but the first and the last stands for two
    weight = torch.full((81, 1), 2.0)
    weight[[0, -1]] = 1.0
    inside = slice(4, -4)  # frames that overhang the ends are of reflected samples

    def apart(waveforms):
        return float((weight * (stft.forward(waveforms) - wanted).abs()[:, :, inside] ** 2).sum())

    step = torch.zeros_like(noise)
    step[:, 500:5500] = 0.02 * torch.randn((3, 5000), generator=torch.Generator().manual_seed(3))
    assert apart(nearest) < min(apart(nearest + step), apart(nearest - step))


def test_a_frame_of_changing_noise_sees_the_cells_by_their_weights():
    stft = Stft(n_samples=2000)
    times, weights = stft.cell_times(100.0, 2), stft.cell_weights(2)
    assert len(times) == 2 * (stft.n_frames - 1) + 1 and len(weights) % 2 == 1
    assert times[2].item() == pytest.approx(stft.frame_times(100.0)[1].item(), rel=1e-6)
    assert weights.sum().item() == pytest.approx(1.0, rel=1e-9)
    noise = torch.randn(4000, 2000, generator=torch.Generator().manual_seed(0))
    cell = (torch.arange(2000) + 11) // 23
    noise[:, cell != 20] = 0.0
    power = stft.forward(noise).abs().square().mean(dim=(0, 1))
    full = float((stft.window(noise) ** 2).sum())
    for frame in (7, 8, 9, 10, 11, 12):
        offset = 20 - 2 * frame + len(weights) // 2
        expected = weights[offset].item() if 0 <= offset < len(weights) else 0.0
        assert power[frame].item() / full == pytest.approx(expected, rel=0.05, abs=1e-3)
