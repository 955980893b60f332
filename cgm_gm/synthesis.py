"""Noise whose power changes in time and frequency: white noise filtered, split into bands, each under an envelope.

An envelope known every .2 s can rise within a sample at an onset, which frames of 1.6 s cannot. Nothing wraps around:
noise is made longer at both ends and cut. Axes: B batch, N samples, F frequencies, T cells in time, K bands.
"""

import dataclasses
import math

import numpy as np
import torch
from torch.nn import functional

PAD = 1.0  # s at either end
WIDEST = 1.25  # ratio of neighbouring bands, where frequencies are closer


@dataclasses.dataclass(frozen=True)
class Bank:
    """Bands for waveforms of ``n_samples`` at ``sampling_rate`` (Hz), between ``n_frequencies`` up to the Nyquist's."""

    n_samples: int
    sampling_rate: float
    n_frequencies: int

    @property
    def pad(self) -> int:
        """Samples at either end."""
        return round(PAD * self.sampling_rate)

    @property
    def length(self) -> int:
        """Samples of noise that a waveform takes: even, and without large factors, which transforms are slow for."""
        found = self.n_samples + 2 * self.pad
        while 60**12 % found or found % 2:
            found += 1
        return found

    def centres(self) -> list[int]:
        """Which frequencies bands are about: all low ones, then ever wider apart."""
        found, last = [0], self.n_frequencies - 1
        while found[-1] < last:
            found.append(min(max(found[-1] + 1, math.ceil(WIDEST * found[-1])), last))
        return found

    def bins(self) -> np.ndarray:
        """Places (M,) of the frequencies of ``length`` samples among the F."""
        return np.linspace(0.0, self.n_frequencies - 1.0, self.length // 2 + 1)

    def shares(self, place: np.ndarray) -> np.ndarray:
        """Of the bands (K, M) at places (M,) among the F frequencies; they add to 1."""
        centres = self.centres()
        return np.array([np.interp(place, centres, row) for row in np.eye(len(centres))])

    @property
    def weights(self) -> np.ndarray:
        """How many of the F frequencies each band (K,) holds."""
        return self.shares(np.arange(self.n_frequencies)).sum(axis=1)

    def averaged(self, power: torch.Tensor) -> torch.Tensor:
        """Means (B, K, J) over the bands of ``power`` (B, F, J)."""
        mean = self.shares(np.arange(self.n_frequencies)) / self.weights[:, None]
        return torch.as_tensor(mean).to(power) @ power

    def between(self, ln_gain: torch.Tensor) -> torch.Tensor:
        """At the F frequencies (B, F), linear between the bands' centres, of ``ln_gain`` (B, K)."""
        return ln_gain @ torch.as_tensor(self.shares(np.arange(self.n_frequencies))).to(ln_gain)

    def filtered(self, noise: torch.Tensor, ln_gain: torch.Tensor) -> torch.Tensor:
        """Spectra (B, M) of noise (B, ``length``), times exp ``ln_gain`` (B, F), linear between frequencies.

        Amplitudes fall as f below half the first frequency: the Fourier amplitudes of waves do.
        """
        place = self.bins()
        low = np.minimum(place.astype(int), self.n_frequencies - 2)
        share, low = torch.as_tensor(place - low).to(ln_gain), torch.as_tensor(low, device=ln_gain.device)
        ln_gain = ln_gain[:, low] * (1.0 - share) + ln_gain[:, low + 1] * share
        fall = torch.as_tensor(np.minimum(place / 0.5, 1.0)).to(ln_gain)
        return torch.fft.rfft(noise) * (fall * torch.exp(ln_gain))

    def cut(self, noise: torch.Tensor) -> torch.Tensor:
        """``noise`` (..., ``length``) without its ends, (..., N)."""
        return noise[..., self.pad : self.pad + self.n_samples]

    def enveloped(self, spectra: torch.Tensor, ln_power: torch.Tensor, cell: float) -> torch.Tensor:
        """Waveforms (B, N) of ``spectra`` (B, M) under envelopes of power (B, K, T) known every ``cell`` samples."""
        shares = torch.as_tensor(self.shares(self.bins())).to(spectra.real)  # of amplitude: bands are of one noise
        bands = self.cut(torch.fft.irfft(spectra[:, None] * shares, n=self.length))
        amplitude = torch.exp(0.5 * ln_power)
        size = round((ln_power.shape[2] - 1) * cell) + 1
        between = functional.interpolate(amplitude, size, mode="linear", align_corners=True)[:, :, : self.n_samples]
        known = (bands[:, :, :size] * between).sum(dim=1)
        behind = (bands[:, :, size:] * amplitude[:, :, -1:]).sum(dim=1)
        return torch.cat([known, behind], dim=1)
