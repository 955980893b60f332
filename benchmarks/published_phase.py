"""Griffin and Lim's algorithm without momentum, as it is commonly written: what ours is timed against."""

import torch

from cgm_gm.spectrogram import Stft

ITERATIONS = 500


def plain_griffin_lim(
    amplitude: torch.Tensor, stft: Stft, phase: torch.Tensor, iterations: int = ITERATIONS
) -> torch.Tensor:
    """Waveforms (B, T) with spectrograms of about ``amplitude`` (B, F, J), from starting ``phase`` (radians)."""
    wanted = torch.polar(amplitude, phase)
    for _ in range(iterations):
        consistent = stft.forward(stft.inverse(wanted))
        wanted = amplitude * consistent / consistent.abs().clamp_min(torch.finfo(amplitude.dtype).tiny)
    return stft.inverse(wanted)
