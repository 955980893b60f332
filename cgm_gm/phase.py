"""From amplitudes to a waveform: fast Griffin-Lim, batched. No record's own phase is ever used.

Griffin and Lim (1984) project in turn on the spectrograms that waveforms have and on those of the wanted amplitudes;
Perraudin, Balazs and Søndergaard (2013) go on a little in the direction of each step, which takes a tenth of the steps.
"""

import torch

from cgm_gm.spectrogram import Stft

ITERATIONS, MOMENTUM = 64, 0.99  # the fewest whose errors are no larger than those of 500 plain iterations


def griffin_lim(
    amplitude: torch.Tensor,
    stft: Stft,
    phase: torch.Tensor,
    iterations: int = ITERATIONS,
    momentum: float = MOMENTUM,
) -> torch.Tensor:
    """Waveforms (B, T) with spectrograms of about ``amplitude`` (B, F, J), from starting ``phase`` (B, F, J), radians.

    ``momentum`` 0 is the plain algorithm.
    """
    wanted = torch.polar(amplitude, phase)
    last = wanted
    for _ in range(iterations):
        consistent = stft.forward(stft.inverse(wanted))
        ahead = torch.lerp(last, consistent, 1.0 + momentum) if momentum else consistent
        last = consistent
        wanted = _scaled_to(amplitude, ahead)
    return stft.inverse(wanted)


def _scaled_to(amplitude: torch.Tensor, spectrogram: torch.Tensor) -> torch.Tensor:
    # |.| and a division of complex numbers guard against overflow and take several times as long
    parts = torch.view_as_real(spectrogram)
    tiny = torch.finfo(amplitude.dtype).tiny
    factor = amplitude * torch.rsqrt(parts[..., 0] ** 2 + parts[..., 1] ** 2 + tiny)
    return torch.view_as_complex(parts * factor[..., None])


def random_phase(shape: torch.Size, generator: torch.Generator, like: torch.Tensor) -> torch.Tensor:
    """Uniform phases in radians, drawn on the CPU, so that a seed gives the same ones on every device."""
    return (2.0 * torch.pi * torch.rand(shape, generator=generator, dtype=torch.float32)).to(like)
