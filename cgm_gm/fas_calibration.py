"""Generated against observed Fourier amplitudes of the training records: a filter that takes out what is left.

Frames of 1.6 s smear a spectrum, and what a network draws need not vary as much as records of new earthquakes do. So
after training one waveform is drawn for every training record, about what the backbone says of events that it has not
seen. The mean difference becomes a filter of all waveforms; where observed residuals vary more than generated ones, a
random filter, smooth in ln f, adds the rest of their covariance.
"""

import dataclasses
from typing import Any

import numpy as np
import torch


@dataclasses.dataclass(frozen=True)
class FasCalibration:
    """ln gain at G ``frequencies`` (Hz): ``shift`` (G,), plus ``root`` (G, G) times standard normal draws."""

    frequencies: tuple[float, ...]
    shift: np.ndarray
    root: np.ndarray

    @classmethod
    def none(cls) -> "FasCalibration":
        """One that changes nothing."""
        return cls((1.0,), np.zeros(1), np.zeros((1, 1)))

    @classmethod
    def fit(cls, frequencies: tuple[float, ...], observed: np.ndarray, generated: np.ndarray) -> "FasCalibration":
        """From ln FAS residuals (N, G) of observed and of generated waveforms about the same medians."""
        missing = np.cov(observed.T) - np.cov(generated.T)
        values, vectors = np.linalg.eigh(np.atleast_2d(missing))
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        return cls(tuple(map(float, frequencies)), observed.mean(axis=0) - generated.mean(axis=0), root)

    @property
    def n_draws(self) -> int:
        """G."""
        return len(self.frequencies)

    def filtered(self, waveforms: torch.Tensor, drawn: torch.Tensor, sampling_rate: float) -> torch.Tensor:
        """Waveforms (B, T), each by a filter of its own from ``drawn`` (B, G)."""
        ln_gain = torch.as_tensor(self.shift).to(drawn) + drawn @ torch.as_tensor(self.root).to(drawn).T
        bins = np.fft.rfftfreq(waveforms.shape[1], 1.0 / sampling_rate)
        place = np.interp(np.log(np.maximum(bins, 1e-3)), np.log(self.frequencies), np.arange(self.n_draws))
        low = np.minimum(place.astype(int), max(self.n_draws - 2, 0))
        share = torch.as_tensor(place - low).to(drawn)
        low = torch.as_tensor(low, device=drawn.device)
        high = torch.clamp(low + 1, max=self.n_draws - 1)
        gain = torch.exp(ln_gain[:, low] * (1.0 - share) + ln_gain[:, high] * share)
        return torch.fft.irfft(torch.fft.rfft(waveforms) * gain, n=waveforms.shape[1])

    def to_dict(self) -> dict[str, Any]:
        """Lists of numbers, for a checkpoint."""
        return {"frequencies": list(self.frequencies), "shift": self.shift.tolist(), "root": self.root.tolist()}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "FasCalibration":
        """Undo `to_dict`."""
        return cls(tuple(content["frequencies"]), np.array(content["shift"]), np.array(content["root"]))
