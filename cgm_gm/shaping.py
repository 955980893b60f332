"""From normal numbers to waveforms: noise shaped by what the decoder says, beside ambient noise. torch and numpy only.

Axes: B batch, N samples, F frequencies, K bands, J frames, C conditions, L code, G frequencies of the calibration.
"""

import dataclasses
import math

import numpy as np
import torch

from cgm_gm.fas_calibration import FasCalibration
from cgm_gm.model import CELLS, WaveformVAE
from cgm_gm.spectrogram import Stft
from cgm_gm.synthesis import Bank

RISE = 0.1  # s, in which the amplitude reaches that of the waves: a sudden beginning would be of all frequencies


@dataclasses.dataclass(frozen=True)
class Scaling:
    """Between waveforms and the power that the network sees: that of one whose FAS is the backbone's, spread evenly.

    Windows begin ``before`` s before P, or, where they are not cut by P, at a time after the origin that makes P arrive
    ``delay`` s after its travel time.
    """

    stft: Stft
    sampling_rate: float
    before: float
    delay: float | None = None

    def frequencies(self) -> np.ndarray:
        """Hz (F,) at which the backbone is asked; the lowest bins share that of the first above half a spacing."""
        found = self.stft.frequencies(self.sampling_rate).numpy().astype(float)
        return np.maximum(found, 0.6 * found[1])

    def offset(self) -> float:
        """ln of the power that a waveform of FAS 1 has, summed over frames."""
        window = torch.hann_window(self.stft.n_fft, dtype=torch.float64)
        return math.log(float((window**2).sum()) / self.stft.hop * self.sampling_rate**2)

    def ln_level(self, ln_fas: torch.Tensor) -> torch.Tensor:
        """ln of the power (B, F) that a waveform of ``ln_fas`` (B, F) has, summed over frames."""
        return 2.0 * ln_fas + self.offset()

    def ln_band_level(self, ln_fas: torch.Tensor) -> torch.Tensor:
        """The same in bands (B, K), as noise that does not know of it sees it."""
        return -torch.log(self.bank.averaged(torch.exp(-self.ln_level(ln_fas))[:, :, None])[:, :, 0])

    @property
    def bank(self) -> Bank:
        """The bands of waveforms to be drawn."""
        return Bank(self.stft.n_samples, self.sampling_rate, self.stft.n_frequencies)

    def power(self, waveforms: torch.Tensor, ln_fas: torch.Tensor) -> torch.Tensor:
        """Scaled power (B, K, J) of waveforms (B, N) whose backbone says ``ln_fas`` (B, F), in bands."""
        found = self.stft.forward(waveforms).abs() ** 2
        return self.bank.averaged(found * torch.exp(-self.ln_level(ln_fas))[:, :, None])


def of_record(network: WaveformVAE, calibration: FasCalibration, scaling: Scaling) -> tuple[int, int, int, int]:
    """How many normal numbers a record takes: for code, filter, the noise of the waves and the ambient noise."""
    return network.latent, calibration.n_draws, scaling.bank.length, scaling.bank.length


def of_event(network: WaveformVAE, calibration: FasCalibration) -> tuple[int, int]:
    """How many all records of an earthquake share: for code and filter."""
    return network.latent, calibration.n_draws


def waveforms(
    network: WaveformVAE,
    calibration: FasCalibration,
    scaling: Scaling,
    shared: torch.Tensor,
    drawn: torch.Tensor,
    conditions: torch.Tensor,
    onsets: torch.Tensor,
    ln_fas: torch.Tensor,
) -> torch.Tensor:
    """Waveforms (B, N) from standard normal ``shared`` (B, sum of `of_event`) and ``drawn`` (B, sum of `of_record`).

    For conditions (B, C), onsets of P and S (B, 2) in s and ln FAS of the backbone (B, F).
    """
    bank, stft = scaling.bank, scaling.stft
    code_of_event, filter_of_event = shared.split(of_event(network, calibration), dim=1)
    code, filter_of_record, noise, ambient = drawn.split(of_record(network, calibration, scaling), dim=1)
    codes = network.from_prior(code_of_event, code, conditions)
    due = network.due(codes, conditions, onsets)
    ln_gain = calibration.ln_gain(conditions, filter_of_event, filter_of_record, scaling.frequencies())
    ln_window = math.log(float((stft.window(noise) ** 2).sum()))
    spectra = bank.filtered(noise, ln_gain + 0.5 * (scaling.ln_level(ln_fas) - ln_window))
    waves = bank.enveloped(spectra, network.waves(codes, conditions, network.since(due)), stft.hop / CELLS)
    time = torch.arange(stft.n_samples, device=due.device) / scaling.sampling_rate
    gate = torch.sin(torch.clamp((time - due[:, :1]) / RISE, 0.0, 1.0) * (math.pi / 2.0)) ** 2
    ambient = bank.filtered(ambient, 0.5 * (bank.between(network.ambient(codes)) - ln_window))
    return gate * waves + bank.cut(torch.fft.irfft(ambient, n=bank.length))
